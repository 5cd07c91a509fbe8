// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/shared_figures.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/cluster/count/counter_field.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/count/without_engine.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "plugin/cluster/cluster_view.hpp"

namespace limits {
namespace {

using policyd::RedisReply;
using policyd::Result;

// The fields of one counter, but for this host's.
policyd::Window merged_fields(const RedisReply& flat, const std::string& node) {
  policyd::Window all;
  for (std::size_t i = 0; i + 1 < flat.list.size(); i += 2) {
    if (flat.list[i].text == node) continue;
    if (const auto window = policyd::window_of_field(flat.list[i + 1].text)) all.merge(*window);
  }
  return all;
}

}  // namespace

std::optional<policyd::TimePoint> time_in(const RedisReply& reply) {
  if (reply.list.size() != 2) return std::nullopt;
  const auto seconds = policyd::parse_number<std::int64_t>(reply.list[0].text);
  const auto micros = policyd::parse_number<std::int64_t>(reply.list[1].text);
  constexpr std::int64_t kMax = 100'000'000'000;
  if (!seconds || !micros || *seconds < 0 || *seconds > kMax || *micros < 0) return std::nullopt;
  return policyd::TimePoint{policyd::Millis{*seconds * 1000 + std::min(*micros, 999'999L) / 1000}};
}

Result<policyd::HiredisSettings> engine_settings_of(const policyd::Config& config) {
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!address) {
    return policyd::failure(fmt::format("url in [cluster]: {}", address.error().message));
  }
  policyd::HiredisSettings settings;
  settings.address = *address;
  settings.password_file = config.cluster_password_file;
  return settings;
}

SharedFigures::SharedFigures(const DaemonConfig& daemon) {
  ClusterView view = view_cluster(daemon);
  configured_ = view.configured;
  if (!configured_) return;
  prefix_ = daemon.config.cluster_prefix;
  node_ = std::move(view.node);
  alone_ = view.alone;
  if (!view.sharing) {
    trouble_ = std::move(view.trouble);
    return;
  }
  const auto settings = engine_settings_of(daemon.config);
  if (!settings) {
    trouble_ = settings.error().message;
    return;
  }
  link_ = std::make_unique<EngineLink>(*settings, kWithin);
  const auto time = link_->ask_all({{"TIME"}});
  if (time) now_ = time_in(time->front());
  if (!now_) trouble_ = time ? "Redis has no clock" : time.error().message;
}

std::string SharedFigures::alone_text() const {
  if (!alone_) return {};
  return fmt::format("until limits are shared again, {}.",
                     policyd::text_without_engine(alone_->without, alone_->hosts));
}

AskOthers SharedFigures::asking() {
  if (!link_ || !trouble_.empty()) return {};
  return [this](const auto& limit_ids, const auto& keys) { return read(limit_ids, keys); };
}

std::string SharedFigures::key_of(const std::string& name) const { return prefix_ + "c:" + name; }

Result<OtherParts> SharedFigures::read(const std::vector<std::int64_t>& limit_ids,
                                       const std::optional<std::vector<std::string>>& keys) {
  if (!link_ || !trouble_.empty()) return policyd::failure(trouble_);
  std::vector<std::string> names;
  for (const std::int64_t id : limit_ids) {
    if (!keys) break;
    for (const std::string& key : *keys) names.push_back(policyd::counter_name(id, key));
  }
  auto parts = keys ? read_named(names) : read_all(limit_ids);
  if (!parts) trouble_ = parts.error().message;
  return parts;
}

// The replies to `commands` go to `before`; after them the counters are asked for.
Result<void> SharedFigures::read_slice(EngineLink::Commands commands,
                                       const std::vector<std::string>& names, OtherParts& parts,
                                       std::vector<RedisReply>* before) {
  const std::size_t first = commands.size();
  for (const std::string& name : names) commands.push_back({"HGETALL", key_of(name)});
  if (commands.empty()) return {};
  const auto replies = link_->ask(commands);
  if (!replies) return tl::unexpected{replies.error()};
  for (std::size_t i = 0; i < replies->size(); ++i) {
    const auto& reply = (*replies)[i];
    if (i < first) {
      if (!reply) return tl::unexpected{reply.error()};
      before->push_back(*reply);
    } else if (reply) {  // otherwise it is not a counter
      auto window = merged_fields(*reply, node_);
      if (window.use() > 0) parts[names[i - first]] = std::move(window);
    }
  }
  return {};
}

Result<OtherParts> SharedFigures::read_named(const std::vector<std::string>& names) {
  OtherParts parts;
  for (std::size_t at = 0; at < names.size(); at += kAtOnce) {
    const auto begin = names.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(kAtOnce, names.size() - at);
    const std::vector<std::string> slice{begin, begin + static_cast<std::ptrdiff_t>(count)};
    if (auto done = read_slice({}, slice, parts, nullptr); !done) {
      return tl::unexpected{done.error()};
    }
  }
  return parts;
}

// Walks through the keys; the counters that were found are asked for together with the next ones.
Result<OtherParts> SharedFigures::read_all(const std::vector<std::int64_t>& limit_ids) {
  OtherParts parts;
  if (limit_ids.empty()) return parts;
  const std::unordered_set<std::int64_t> wanted{limit_ids.begin(), limit_ids.end()};
  const std::string pattern = policyd::counters_pattern(
      prefix_, limit_ids.size() == 1 ? std::optional{limit_ids.front()} : std::nullopt);
  const std::string begin = key_of("");
  std::vector<std::string> names;
  std::string cursor = "0";
  for (bool at_end = false; !at_end || !names.empty();) {
    EngineLink::Commands commands;
    if (!at_end) {
      commands.push_back({"SCAN", cursor, "MATCH", pattern, "COUNT", std::to_string(kAtOnce)});
    }
    std::vector<RedisReply> before;
    const auto done = read_slice(std::move(commands), std::exchange(names, {}), parts, &before);
    if (!done) return tl::unexpected{done.error()};
    if (at_end) break;
    if (before.front().list.size() != 2) return policyd::failure("Redis cannot list its keys");
    cursor = before.front().list[0].text;
    at_end = cursor == "0";
    for (const RedisReply& key : before.front().list[1].list) {
      if (!key.text.starts_with(begin)) continue;
      std::string name = key.text.substr(begin.size());
      const auto id = policyd::parse_number<std::int64_t>(name.substr(0, name.find(':')));
      if (id && wanted.contains(*id)) names.push_back(std::move(name));
    }
    if (parts.size() > kMaxCounters) {
      return policyd::failure(
          fmt::format("Redis has more than {} counters; name an address or a limit", kMaxCounters));
    }
  }
  return parts;
}

}  // namespace limits
