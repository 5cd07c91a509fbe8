// SPDX-License-Identifier: AGPL-3.0-only
// Has all MTAs of a cluster clear counters, and waits some seconds until they have. Each clears its
// own part; when those that are there have done so, all forget what they knew to be full, so that
// then none refuses by what was cleared. As the daemon's user.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/cluster/reset/reset_request.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

struct HostReset {
  std::string name;
  bool is_this = false;
  std::optional<std::uint64_t> cleared;  // counters; nullopt: it has not answered
  std::chrono::seconds unseen{0};        // since when it has not been heard of
};

struct ClusterReset {
  bool configured = false;  // [cluster] url is set
  // Why the other MTAs were not asked, a sentence without a full stop; empty if they were.
  std::string not_asked;
  std::vector<HostReset> hosts;  // seen in the last day; by name, this one first

  [[nodiscard]] std::uint64_t cleared_elsewhere() const;
  // The same with this host's daemon, which may have been the one to clear what a host has left.
  [[nodiscard]] std::uint64_t cleared_by_daemons() const;
};

ClusterReset reset_on_all_hosts(const DaemonConfig& daemon, const policyd::ResetRequest& request);

}  // namespace limits
