// SPDX-License-Identifier: AGPL-3.0-only
// A command that changes rules on a host of a cluster. It starts from the rules that all hosts
// have, and waits until the daemon has published what it changed: of two changes at once on two
// hosts the later one is not taken, which is reported. Without a cluster it does nothing. As the
// owner of the database.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

class SharedChange {
 public:
  explicit SharedChange(const DaemonConfig& daemon);

  // Before rules are read. Waits up to two seconds for the daemon to take over what other hosts
  // changed; an Error, with what to do, if this host's rules are not the cluster's then. The engine
  // may be away: the change is then made here first.
  Result<void> begin(const Tables& tables);

  // After the commit. What holds for the other hosts where they do not have the change yet, as a
  // sentence; empty if it is published. An Error if another host's change came first.
  Result<std::string> finish() const;

 private:
  [[nodiscard]] bool wait_until_published() const;
  [[nodiscard]] std::string trouble() const;  // of the daemon; empty while it shares

  const DaemonConfig& daemon_;
  const bool shared_;
  std::string engine_trouble_;  // found by begin()
  std::vector<std::filesystem::path> kept_before_;
};

}  // namespace limits
