// SPDX-License-Identifier: AGPL-3.0-only
// What is known of other MTAs from here: which of them run the policy daemon, since Postfix answers
// 451 to all mail where it asks a daemon that does not run. Only the cluster tells.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/cluster/engine_check.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// The server that is this host of the cluster: by its host name, else by its name in the cluster;
// the names of hosts often lack the domain, which counts only where it leaves one server. nullopt
// if it is none of `servers`.
std::optional<std::string> server_of(const KnownHost& host, std::span<const std::string> servers);

struct OtherMtas {
  std::vector<std::string> running;   // of the servers, as Carbonio names them
  std::vector<std::string> nameless;  // hosts of the cluster that are none of the servers
  std::string why_not_known;  // a sentence without a full stop; empty if the cluster answered
};
OtherMtas find_running(const DaemonConfig& daemon, std::span<const std::string> servers);

// What makes another host a member of this host's cluster, as typed there; with redis://HOST where
// this host is in none, or reaches the engine in a way that others cannot.
std::string join_command(const policyd::Config& config);

}  // namespace limits
