// SPDX-License-Identifier: AGPL-3.0-only
// Database trouble that the running daemon reports in its status file, and refusals of the last
// day, which it remembers in the database.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "daemon/status/status.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// By one limit and track key.
struct Refusal {
  std::int64_t limit_id = 0;
  std::string track_key;
  std::string verdict;  // "none" if the limit only monitors; empty if there was none
  std::uint64_t count = 0;
  std::uint64_t let_through = 0;  // what a pause let through instead
  policyd::TimePoint first{};
  policyd::TimePoint last{};
};

struct DaemonNews {
  bool running = false;  // with this database
  // Since when refusals are known; nullopt: the database has no table for them.
  std::optional<policyd::TimePoint> refused_since;
  std::map<std::pair<std::int64_t, std::string>, Refusal> refusals;  // limit_id, key
  std::optional<policyd::Status::Trouble> trouble;
  std::string problem;  // why the status file could not be read

  [[nodiscard]] const Refusal* refusal(std::int64_t limit_id, const std::string& key) const;
  // "the daemon has trouble with its database (...); 3 counters are only in memory"
  [[nodiscard]] std::optional<std::string> trouble_text() const;
};

// Without refusals.
DaemonNews read_news(const DaemonConfig& daemon);

// Refusals by limits in the day before `now`.
Result<void> read_refusals(const Tables& tables, policyd::TimePoint now, DaemonNews& into);

}  // namespace limits
