// SPDX-License-Identifier: AGPL-3.0-only
// A row of quotas_tracking, for CachedTable.
#pragma once

#include <string>
#include <string_view>

#include "daemon/counting/counters.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

struct QuotaRecord {
  using Value = Counter;
  using Units = double;
  struct Columns {
    double counter = 0;
    double last_update_s = 0;
    bool operator==(const Columns&) const = default;
  };

  static constexpr std::size_t kKeyTexts = 1;
  static constexpr std::string_view kSelect =
      "SELECT rowid, Counter, LastUpdate, State FROM {p}quotas_tracking "
      "WHERE QuotasLimitsID = ?1 AND TrackKey = ?2";
  static constexpr std::string_view kInsert =
      "INSERT INTO {p}quotas_tracking (QuotasLimitsID, TrackKey, LastUpdate, Counter, State) "
      "VALUES (?1, ?2, ?3, ?4, ?5)";
  static constexpr std::string_view kUpdate =
      "UPDATE {p}quotas_tracking SET LastUpdate = ?3, Counter = ?4, State = ?5 WHERE rowid = ?1";

  static Columns columns(const Counter& counter) { return {counter.value, counter.last_update_s}; }
  static void read(Counter& counter, const sql::Statement& found, TimePoint now);
  // `blob` holds State until the statement has run.
  static void bind(sql::Statement& statement, const Counter& counter, std::string& blob);
  static void rebase(Counter& found, const Counter& ours, double units, TimePoint now);
};

}  // namespace policyd
