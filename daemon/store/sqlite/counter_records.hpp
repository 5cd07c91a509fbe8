// SPDX-License-Identifier: AGPL-3.0-only
// The rows of quotas_tracking and accounting_tracking, for CachedTable, which says what each of
// their members is.
#pragma once

#include <string>
#include <string_view>

#include "daemon/counting/counters.hpp"
#include "daemon/counting/state_bytes.hpp"
#include "daemon/sqlite/sqlite.hpp"

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
  static void read(Counter& counter, const sql::Statement& row, TimePoint now);
  // `blob` holds State until the statement has run.
  static void bind(sql::Statement& statement, const Counter& counter, std::string& blob);
  static void rebase(Counter& edited, const Counter& ours, double units, TimePoint now);
  static void save(std::string& out, const Counter& counter, double units, const Columns& base);
  static bool load(StateReader& in, Counter& counter, double& units, Columns& base);
};

struct AccountingRecord {
  using Value = AccountingCounter;
  using Units = AccountingUnits;
  using Columns = AccountingUnits;

  static constexpr std::size_t kKeyTexts = 2;
  static constexpr std::string_view kSelect =
      "SELECT rowid, LastUpdate, MessageCount, MessageCumulativeSize FROM {p}accounting_tracking "
      "WHERE AccountingID = ?1 AND TrackKey = ?2 AND PeriodKey = ?3";
  static constexpr std::string_view kInsert =
      "INSERT INTO {p}accounting_tracking (AccountingID, TrackKey, PeriodKey, LastUpdate, "
      "MessageCount, MessageCumulativeSize) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
  static constexpr std::string_view kUpdate =
      "UPDATE {p}accounting_tracking SET LastUpdate = ?4, MessageCount = ?5, "
      "MessageCumulativeSize = ?6 WHERE rowid = ?1";

  static Columns columns(const AccountingCounter& counter) { return counter.used; }
  static void read(AccountingCounter& counter, const sql::Statement& row, TimePoint now);
  static void bind(sql::Statement& statement, const AccountingCounter& counter, std::string& blob);
  static void rebase(AccountingCounter& edited, const AccountingCounter& ours,
                     const AccountingUnits& units, TimePoint now);
  static void save(std::string& out, const AccountingCounter& counter, const AccountingUnits& units,
                   const Columns& base);
  static bool load(StateReader& in, AccountingCounter& counter, AccountingUnits& units,
                   Columns& base);
};

}  // namespace policyd
