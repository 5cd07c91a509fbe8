// SPDX-License-Identifier: AGPL-3.0-only
// Refusals and database trouble that the running daemon reports in its status file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "daemon/status/status.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

struct DaemonNews {
  bool running = false;  // with this database; if false, the rest is empty
  policyd::TimePoint started{};
  std::map<std::pair<std::int64_t, std::string>, policyd::Refusal> refusals;  // limit_id, key
  std::optional<policyd::Status::Trouble> trouble;
  std::string problem;  // why the status file could not be read

  [[nodiscard]] const policyd::Refusal* refusal(std::int64_t limit_id,
                                                const std::string& key) const;
  // "the daemon has trouble with its database (...); 3 counters are only in memory"
  [[nodiscard]] std::optional<std::string> trouble_text() const;
};

DaemonNews read_news(const DaemonConfig& daemon);

}  // namespace limits
