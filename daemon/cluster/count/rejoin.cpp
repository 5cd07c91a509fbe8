// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/rejoin.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <memory>
#include <random>
#include <utility>

#include "count_lua.hpp"
#include "daemon/base/printable.hpp"

namespace policyd {

namespace {

constexpr Millis kRetry = std::chrono::seconds{1};

std::string random_epoch() {
  std::random_device random;
  return fmt::format("{}{:08x}{:08x}", Rejoin::kProtocol, random(), random());
}

// "run_id:..." of INFO; empty if it is not there.
std::string run_id_of(const std::string& info) {
  constexpr std::string_view kName = "\nrun_id:";
  const auto at = info.find(kName);
  if (at == std::string::npos) return {};
  const auto begin = at + kName.size();
  return info.substr(begin, info.find_first_of("\r\n", begin) - begin);
}

}  // namespace

void Rejoin::tick() {
  const Steady now = with_.clock.steady();
  if (started_ == Steady{}) started_ = now;
  if (!check_connection()) return;
  if (state_ == State::down && now >= retry_) greet();
  const bool due =
      state_ == State::waiting || (state_ == State::sharing && now - asked_ >= kHeartbeat);
  if (expecting_ && now - asked_ >= kHeartbeat) {
    const auto silent = std::chrono::floor<std::chrono::seconds>(now - asked_);
    tell_.trouble(fmt::format("no answer for {} s", silent.count()));
  } else if (due && !expecting_) {
    beat();
  }
}

bool Rejoin::check_connection() {
  const bool other = state_ != State::down && with_.redis.connections() != connection_;
  if (with_.redis.ready() && !other) return true;
  if (state_ != State::down) stop();
  // The first connection takes a moment.
  const bool is_new = goal_.empty() && with_.clock.steady() - started_ < kRetry;
  if (!is_new) {
    tell_.trouble(with_.redis.ready() ? "the connection was lost" : with_.redis.trouble());
  }
  return false;
}

void Rejoin::stop() {
  ++attempt_;
  state_ = State::down;
  expecting_ = false;
}

void Rejoin::begin_again(std::string why) {
  stop();
  // Not at once, so that what was counted just now is in the database when that is read.
  retry_ = with_.clock.steady() + kTick;
  tell_.trouble(std::move(why));
}

void Rejoin::write_all() {
  complete_.clear();
  if (sharing()) begin_again("too many counters changed meanwhile; they are written again");
}

// A command has: because of the connection, or the engine's words are the reason.
void Rejoin::failed(std::string why) {
  if (check_connection()) fail(std::move(why));
}

void Rejoin::fail(std::string why) {
  stop();
  retry_ = with_.clock.steady() + kRetry;
  tell_.trouble(std::move(why));
}

// Calls `done` with all replies, if none is an Error.
void Rejoin::ask_all(std::vector<std::vector<std::string>> commands,
                     std::function<void(const Replies&)> done) {
  asked_ = with_.clock.steady();
  expecting_ = true;
  // shared_ptr: of all of their callbacks.
  const auto replies = std::make_shared<Replies>();
  const std::size_t count = commands.size();
  const std::uint64_t attempt = attempt_;
  const auto replied = [this, replies, count, attempt,
                        done = std::move(done)](const Result<RedisReply>& reply) {
    if (attempt != attempt_) return;
    if (!reply) {
      return failed(fmt::format("the engine answers: {}", printable(reply.error().message, 200)));
    }
    replies->push_back(*reply);
    if (replies->size() < count) return;
    expecting_ = false;
    done(*replies);
  };
  for (auto& words : commands) with_.redis.command(std::move(words), guard_.wrap(replied));
}

void Rejoin::greet() {
  state_ = State::greeting;
  connection_ = with_.redis.connections();
  const std::string key = with_.names.epoch_key();
  // The epoch after the nodes: if it is the one of before, none of them was lost.
  ask_all({{"SCRIPT", "LOAD", kCountLua},
           {"INFO", "server"},
           {"HGETALL", with_.names.nodes_key()},
           {"SET", key, random_epoch(), "NX"},
           {"GET", key},
           {"TIME"}},
          [this](const Replies& replies) { greeted(replies); });
}

void Rejoin::greeted(const Replies& replies) {
  const std::string run_id = run_id_of(replies[1].text);
  const std::string& epoch = replies[4].text;
  if (replies[0].text.empty() || run_id.empty() || epoch.empty() || !heard(replies[5])) {
    return fail("the engine does not answer as Redis or Valkey does");
  }
  if (epoch.rfind(kProtocol, 0) != 0) {
    return fail(
        fmt::format("the other hosts' carbonio-limits is of another version ({} is {}); "
                    "install the same on all",
                    with_.names.epoch_key(), in_quotes(epoch)));
  }
  const std::string goal = fmt::format("{} {}", epoch, run_id);
  with_.nodes.read(replies[2], with_.clock.now(), goal);
  if (with_.self.since == TimePoint{}) with_.self.since = with_.clock.now();
  if (!name_is_ours()) return;
  script_ = replies[0].text;
  with_.names.epoch = epoch;
  goal_ = goal;
  if (complete_ == goal_) return written();
  state_ = State::writing;
  with_.own.begin();
  next_slice();
}

void Rejoin::next_slice() {
  const std::uint64_t attempt = attempt_;
  with_.own.next(kSlice, guard_.wrap([this, attempt](std::vector<OwnCounters::Counter> slice) {
    if (attempt != attempt_) return;
    if (slice.empty()) return written();
    asked_ = with_.clock.steady();
    expecting_ = true;
    tell_.write(std::move(slice), guard_.wrap([this, attempt](const Result<void>& done) {
      if (attempt != attempt_) return;
      expecting_ = false;
      if (!done) return failed(done.error().message);
      next_slice();
    }));
  }));
}

void Rejoin::written() {
  complete_ = with_.self.written = goal_;
  state_ = State::waiting;
  others_until_ = with_.clock.steady() + kOthers;
  beat();
}

void Rejoin::beat() {
  with_.self.seen = with_.clock.now();
  ask_all({{"TIME"}, {"HGETALL", with_.names.nodes_key()}, {"GET", with_.names.epoch_key()}},
          [this](const Replies& replies) { beaten(replies); });
}

void Rejoin::beaten(const Replies& replies) {
  if (!heard(replies[0])) return fail("the engine does not answer as Redis or Valkey does");
  if (replies[2].text != with_.names.epoch) return begin_again("the engine has lost its data");
  const TimePoint now = with_.clock.now();
  with_.nodes.read(replies[1], now, goal_);
  if (!name_is_ours()) return;

  with_.self.seen = now;
  const std::string key = with_.names.nodes_key();
  for (const std::string& name : with_.nodes.outdated(now)) {
    with_.redis.command({"HDEL", key, name}, [](const Result<RedisReply>&) {});
  }
  ask_all({{"HSET", key, with_.names.node, json_of_node(with_.self)}},
          [this](const Replies&) { told(); });
}

void Rejoin::told() {
  if (state_ == State::waiting) {
    const bool all = with_.nodes.all_have(goal_, with_.clock.now());
    if (!all && with_.clock.steady() < others_until_) return;
    state_ = State::sharing;
  }
  with_.nodes.shared(with_.clock.now());
  tell_.well();
}

bool Rejoin::name_is_ours() {
  const Node* namesake = with_.nodes.namesake(with_.self, with_.clock.now());
  if (namesake == nullptr) return true;
  fail(fmt::format(
      "the host {} has the same name in the cluster, {}; set another [cluster] node on one of them",
      in_quotes(namesake->host), in_quotes(with_.names.node)));
  return false;
}

// The reply of TIME: seconds and microseconds.
bool Rejoin::heard(const RedisReply& time) {
  std::array<std::int64_t, 2> parts{};
  if (time.list.size() != 2) return false;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string& text = time.list[i].text;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parts[i]);
    if (error != std::errc{} || end != text.data() + text.size()) return false;
  }
  constexpr std::int64_t kMaxSeconds = Window::kMaxUnits / 1000 - 1;
  if (parts[0] <= 0 || parts[0] > kMaxSeconds || parts[1] < 0 || parts[1] >= 1'000'000)
    return false;
  with_.clock.heard(TimePoint{Millis{parts[0] * 1000 + parts[1] / 1000}},
                    with_.clock.steady() - asked_);
  return true;
}

}  // namespace policyd
