// SPDX-License-Identifier: AGPL-3.0-only
// Whether this host shares its limits with other MTAs, from its configuration and from what the
// running daemon reports.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "daemon/status/status.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/output.hpp"
#include "plugin/usage/other_parts.hpp"

namespace limits {

struct ClusterView {
  bool configured = false;  // [cluster] url is set
  std::string engine;       // "redis1:6379", without a user
  std::string node;         // this host's name among the MTAs
  bool sharing = false;
  std::string trouble;                              // why not, as a sentence without a full stop
  std::optional<policyd::Status::Cluster> figures;  // of the running daemon
  std::optional<Alone> alone;                       // it runs, and does not share
};

ClusterView view_cluster(const DaemonConfig& daemon);
// Whether [cluster] url is set, for the daemon of this database.
bool is_in_cluster(const DaemonConfig& daemon);

nlohmann::json cluster_json(const ClusterView& view);
// An aligned table; one line without [cluster] url.
void print_cluster(const ClusterView& view, const TypedAdvice& advice, Output& output);

// "Limits are shared by 3 hosts.", or why not, and what holds then; empty without [cluster] url.
std::string sharing_line(const ClusterView& view);

}  // namespace limits
