// SPDX-License-Identifier: AGPL-3.0-only
// A row of accounting_tracking, for CachedTable.
#pragma once

#include <string>
#include <string_view>

#include "daemon/counting/counters.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

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
  static void read(AccountingCounter& counter, const sql::Statement& found, TimePoint now);
  static void bind(sql::Statement& statement, const AccountingCounter& counter, std::string&);
  static void rebase(AccountingCounter& found, const AccountingCounter& ours,
                     const AccountingUnits& units, TimePoint now);
};

}  // namespace policyd
