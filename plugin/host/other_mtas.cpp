// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/other_mtas.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/shell_words.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

bool is_short_for(std::string_view name, std::string_view server) {
  return name.find('.') == std::string_view::npos &&
         equal_ignoring_case(name, server.substr(0, server.find('.')));
}

bool reached_from_here_alone(const policyd::RedisHost& host) {
  return host.port == 0 || host.name.starts_with("127.") || host.name == "::1" ||
         equal_ignoring_case(host.name, "localhost");
}

}  // namespace

std::optional<std::string> server_of(const KnownHost& host, std::span<const std::string> servers) {
  for (const std::string& name : {host.host, host.node}) {
    const auto same = std::find_if(servers.begin(), servers.end(), [&](const std::string& server) {
      return equal_ignoring_case(name, server);
    });
    if (same != servers.end()) return *same;
  }
  for (const std::string& name : {host.host, host.node}) {
    const auto begins = [&](const std::string& server) { return is_short_for(name, server); };
    if (std::count_if(servers.begin(), servers.end(), begins) != 1) continue;
    return *std::find_if(servers.begin(), servers.end(), begins);
  }
  return std::nullopt;
}

OtherMtas find_running(const DaemonConfig& daemon, std::span<const std::string> servers) {
  OtherMtas out;
  const policyd::Config& config = daemon.config;
  if (!daemon.read || config.cluster_url.empty()) {
    out.why_not_known = "this host is in no cluster, so nothing is known of other hosts";
    return out;
  }
  const auto cannot = [&out](const std::string& why) {
    out.why_not_known = fmt::format("the cluster cannot be asked: {}", escaped(why));
    return out;
  };
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!address) return cannot(address.error().message);
  const auto owner = AsOwner::of(config.database);
  if (!owner) return cannot(owner.error().message);
  const auto hosts = alive_hosts({*address, config.cluster_password_file}, config.cluster_prefix);
  if (!hosts) return cannot(hosts.error().message);
  for (const KnownHost& host : *hosts) {
    if (auto server = server_of(host, servers)) {
      out.running.push_back(std::move(*server));
    } else if (host.node != policyd::node_name_of(config)) {
      out.nameless.push_back(host.node);
    }
  }
  return out;
}

std::string join_command(const policyd::Config& config) {
  std::string url = "redis://HOST";
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (address &&
      std::none_of(address->hosts.begin(), address->hosts.end(), reached_from_here_alone)) {
    url = config.cluster_url;
  }
  return fmt::format("carbonio-limits cluster join {}{}", policyd::shell_word(url),
                     config.cluster_password_file.empty() ? "" : " --password-stdin");
}

}  // namespace limits
