// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/engine_link.hpp"

#include <fmt/core.h>

#include <utility>

#include "daemon/base/printable.hpp"

namespace limits {
namespace {

constexpr std::chrono::milliseconds kLookEvery{5};

}  // namespace

EngineLink::EngineLink(const policyd::HiredisSettings& settings, std::chrono::milliseconds within)
    : redis_(loop_, settings, [] {}), at_first_(redis_.trouble()) {
  loop_.after(within,
              guard_.wrap([this] { end("Redis did not answer in time; check the server"); }));
}

policyd::Result<EngineLink::Replies> EngineLink::ask(const Commands& commands) {
  if (!trouble_.empty()) return policyd::failure(trouble_);
  replies_.clear();
  if (commands.empty()) return Replies{};
  ++asked_;
  loop_.post(guard_.wrap([this, &commands, number = asked_] {
    if (number == asked_) begin(commands);
  }));
  loop_.run();
  if (!trouble_.empty()) return policyd::failure(trouble_);
  return std::move(replies_);
}

policyd::Result<std::vector<policyd::RedisReply>> EngineLink::ask_all(const Commands& commands) {
  auto replies = ask(commands);
  if (!replies) return tl::unexpected{replies.error()};
  std::vector<policyd::RedisReply> out;
  for (auto& reply : *replies) {
    if (!reply) {
      return policyd::failure(fmt::format("Redis {} answers {}", server().address,
                                          policyd::in_quotes(reply.error().message, 200)));
    }
    out.push_back(std::move(*reply));
  }
  return out;
}

void EngineLink::wait(std::chrono::milliseconds time) {
  if (!trouble_.empty()) return;
  loop_.after(time, guard_.wrap([this] { loop_.stop(); }));
  loop_.run();
}

void EngineLink::begin(const Commands& commands) {
  if (!redis_.ready()) {
    if (redis_.trouble() != at_first_) return end(redis_.trouble());
    return loop_.after(kLookEvery, guard_.wrap([this, &commands] { begin(commands); }));
  }
  at_first_ = "";  // from now on a lost connection is trouble
  for (const policyd::RedisCommand& command : commands) {
    redis_.command(command, [this, number = asked_, count = commands.size()](
                                const policyd::Result<policyd::RedisReply>& reply) {
      if (number != asked_) return;
      replies_.push_back(reply);
      if (replies_.size() == count) loop_.stop();
    });
  }
}

void EngineLink::end(const std::string& trouble) {
  trouble_ = trouble;
  loop_.stop();
}

}  // namespace limits
