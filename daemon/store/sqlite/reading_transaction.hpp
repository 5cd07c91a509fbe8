// SPDX-License-Identifier: AGPL-3.0-only
// A Transaction that leaves no trace: the modules decide on the database as it is, and their writes
// are discarded. For `carbonio-limits explain`.
//
// It is one read transaction, so it sees one moment and never waits. Rows that modules write and
// read back within a decision (greylisting, HELO names) go into temporary tables in memory, which
// hide the real ones and hold the rows of this one client. SQLite refuses any write to the database
// itself. One thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "daemon/counting/counters.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/sqlite/sqlite_greylisting.hpp"
#include "daemon/store/sqlite/sqlite_helo_tracking.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

class ReadingTransaction final : public Transaction {
 public:
  // Only rows of the client of `about` can be read. `db` serves nothing else while this exists. An
  // Error if the rules cannot be read, or if it is not a CBPolicyD database.
  static Result<std::unique_ptr<ReadingTransaction>> begin(sqlite3* db,
                                                           const std::string& table_prefix,
                                                           Maillog& log, TimePoint now,
                                                           const Request& about);
  ~ReadingTransaction() override;

  // As stored, regardless of decisions in this transaction; 0 if there is none.
  [[nodiscard]] Counter stored(std::int64_t limit_id, std::string_view track_key);
  [[nodiscard]] AccountingCounter stored(std::int64_t accounting_id, std::string_view track_key,
                                         std::string_view period_key);

  [[nodiscard]] const std::shared_ptr<const Rules>& rules() const override { return rules_; }
  [[nodiscard]] TimePoint now() const override { return now_; }
  Counter& counter(std::int64_t limit_id, std::string_view track_key) override;
  void changed(Counter&, double) override {}
  AccountingCounter& accounting(std::int64_t accounting_id, std::string_view track_key,
                                std::string_view period_key) override;
  void changed(AccountingCounter&, const AccountingUnits&) override {}
  GreylistingTables* greylisting() override { return greylisting_.tables(); }
  HeloTracking* helo_tracking() override { return helo_tracking_.tables(); }
  std::optional<SessionRow> session(std::string_view) override { return std::nullopt; }
  [[nodiscard]] bool was_under_way(std::string_view) const override { return false; }
  void put_session(SessionRow) override {}
  [[nodiscard]] bool begin_question(std::uint64_t) override { return false; }
  void end_question(std::uint64_t) override {}

 private:
  ReadingTransaction(sqlite3* db, Maillog& log, TimePoint now)
      : db_(db), now_(now), greylisting_(log), helo_tracking_(log) {}
  Result<void> prepare(const std::string& table_prefix, const Request& about);
  Result<void> hide_tables(const std::string& table_prefix, const Request& about);

  sqlite3* db_;
  TimePoint now_;
  std::shared_ptr<const Rules> rules_;
  sql::Statement quota_, accounting_row_;
  SqliteGreylisting greylisting_;
  SqliteHeloTracking helo_tracking_;
  // Maps, since references to counters must stay valid.
  std::map<std::pair<std::int64_t, std::string>, Counter> counters_;
  std::map<std::pair<std::int64_t, std::string>, AccountingCounter> accountings_;
};

}  // namespace policyd
