// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/node_removal.hpp"

#include <chrono>
#include <optional>

#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/counter_name.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "plugin/cluster/engine_link.hpp"

namespace limits {
namespace {

using policyd::Config;
using policyd::Result;

constexpr std::chrono::seconds kForRow{10};
constexpr std::chrono::seconds kForCounts{60};  // a million of them take some ten
constexpr std::string_view kKeysAtOnce = "1000";

Result<policyd::HiredisSettings> server_of(const Config& config) {
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!address) return tl::unexpected{address.error()};
  return policyd::HiredisSettings{*address, config.cluster_password_file};
}

}  // namespace

Result<void> remove_node(const Config& config, const std::string& node) {
  const auto server = server_of(config);
  if (!server) return tl::unexpected{server.error()};
  const policyd::CountNames names{config.cluster_prefix, node, {}};
  const auto removed = EngineLink{*server, kForRow}.ask_all({{"HDEL", names.nodes_key(), node}});
  return removed ? Result<void>{} : tl::unexpected{removed.error()};
}

Result<void> remove_counts(const Config& config, const std::string& node) {
  const auto server = server_of(config);
  if (!server) return tl::unexpected{server.error()};
  EngineLink link{*server, kForCounts};
  const std::string pattern = policyd::counters_pattern(config.cluster_prefix, std::nullopt);
  std::string cursor = "0";
  do {
    const auto scanned =
        link.ask_all({{"SCAN", cursor, "MATCH", pattern, "COUNT", std::string{kKeysAtOnce}}});
    if (!scanned) return tl::unexpected{scanned.error()};
    const policyd::RedisReply& reply = scanned->front();
    if (reply.list.size() != 2) return policyd::failure("Redis does not list its keys");
    EngineLink::Commands removals;
    for (const policyd::RedisReply& key : reply.list[1].list) {
      removals.push_back({"HDEL", key.text, node});
    }
    // A key of another type is none of ours.
    if (const auto removed = link.ask(removals); !removed) return tl::unexpected{removed.error()};
    cursor = reply.list[0].text;
  } while (cursor != "0");
  return {};
}

}  // namespace limits
