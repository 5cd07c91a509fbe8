// SPDX-License-Identifier: AGPL-3.0-only
// How a host joins a cluster, and leaves it: the engine is checked first, then section [cluster] of
// carbonio-limits.conf is written, and the daemon restarted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "daemon/cluster/rules/reconcile.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// What is not given stays as [cluster] has it.
struct Joining {
  std::string url;
  std::optional<std::string> node;
  std::optional<std::string> without;
  std::optional<std::filesystem::path> password_file;
  std::optional<std::string> password;  // to be kept in a file of ours
  std::optional<policyd::RuleChoice> rules;
  bool dry_run = false;
};

Outcome join_cluster(const DaemonConfig& daemon, const Joining& joining, Context& context);

Outcome leave_cluster(const DaemonConfig& daemon, bool dry_run, Context& context);

}  // namespace limits
