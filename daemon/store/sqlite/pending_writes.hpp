// SPDX-License-Identifier: AGPL-3.0-only
// What batches change, until it is written: counters, finished messages, and the hashes of counted
// questions, by which Postfix's repeated question is recognised after a crash (table
// limits_counted, a ring). It is also the Transaction that a batch is decided with. Part of the
// SQLite store; the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "daemon/store/sqlite/cached_table.hpp"
#include "daemon/store/sqlite/rules_source.hpp"
#include "daemon/store/sqlite/session_table.hpp"
#include "daemon/store/sqlite/sqlite_greylisting.hpp"
#include "daemon/store/sqlite/sqlite_helo_tracking.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

class PendingWrites final : public Transaction {
 public:
  PendingWrites(Maillog& log, const RulesSource& rules, std::size_t cache_entries);

  // Reads and writes through `db` from here on. An Error if a table is missing.
  Result<void> attach(sqlite3* db, const std::string& table_prefix);
  void detach();
  // Postfix no longer repeats questions that were counted before the start.
  void forget_counted() { counted_before_.clear(); }

  void begin_batch(TimePoint now);
  // In an open transaction, which must not be committed if the result is not SQLITE_OK.
  int decide(Store::Uses uses, const Store::Decide& decide);
  void end_batch();

  // Writes at most `max` rows of each counter table and of session_tracking, and the rest of the
  // batch, in the open transaction. SQLITE_OK or the error.
  int write(std::size_t max);
  void committed() {
    each_counter_table([](auto& table) { table.committed(); });
    sessions_.committed();
  }
  void rolled_back() {
    each_counter_table([](auto& table) { table.rolled_back(); });
  }
  void on_foreign_commit() {
    each_counter_table([](auto& table) { table.on_foreign_commit(); });
  }
  // The file that is opened next is older than what is in memory.
  void overwrite_tables() {
    each_counter_table([](auto& table) { table.overwrite_table(); });
  }

  // All of that as bytes, and back: for the next process, if it cannot be written. An Error if they
  // are not what save() returned; what was read before the mistake is kept.
  [[nodiscard]] std::string save() const;
  Result<void> load(std::string_view saved);

  [[nodiscard]] std::size_t messages() const { return sessions_.size(); }
  // Counter rows that are not stored yet.
  [[nodiscard]] std::size_t dirty() const { return quotas_.dirty() + accounting_.dirty(); }
  [[nodiscard]] bool all_rows_stored() const { return dirty() == 0 && sessions_.empty(); }
  [[nodiscard]] bool nothing_to_write() const { return all_rows_stored() && hashes_.empty(); }
  // Changes since the last call that will not be stored, because too many were waiting.
  std::size_t take_lost() { return quotas_.take_lost() + accounting_.take_lost(); }

  [[nodiscard]] const std::shared_ptr<const Rules>& rules() const override {
    return rules_.current();
  }
  [[nodiscard]] TimePoint now() const override { return now_; }
  Counter& counter(std::int64_t limit_id, std::string_view track_key) override {
    return quotas_.touch({limit_id, {track_key}});
  }
  void changed(Counter& counter, double units) override;
  AccountingCounter& accounting(std::int64_t accounting_id, std::string_view track_key,
                                std::string_view period_key) override {
    return accounting_.touch({accounting_id, {track_key, period_key}});
  }
  void changed(AccountingCounter& counter, const AccountingUnits& units) override;
  GreylistingTables* greylisting() override {
    record_question_ = true;
    return greylisting_.tables();
  }
  HeloTracking* helo_tracking() override { return helo_tracking_.tables(); }
  std::optional<SessionRow> session(std::string_view instance) override {
    return sessions_.find(instance);
  }
  [[nodiscard]] bool was_under_way(std::string_view instance) const override {
    return sessions_.was_under_way(instance);
  }
  void put_session(SessionRow row) override { sessions_.put(std::move(row)); }
  [[nodiscard]] bool begin_question(std::uint64_t question) override;
  void end_question(std::uint64_t question) override;

 private:
  template <typename Action>
  void each_counter_table(Action action) {
    action(quotas_);
    action(accounting_);
  }
  Result<void> read_counted(sqlite3* db, const std::string& table_prefix);
  int write_hashes();

  const RulesSource& rules_;
  TimePoint now_;
  CachedTable<QuotaRecord> quotas_;
  CachedTable<AccountingRecord> accounting_;
  SqliteGreylisting greylisting_;
  SqliteHeloTracking helo_tracking_;
  SessionTable sessions_;

  sql::Statement put_hashes_;
  std::string hashes_;            // of this batch, eight bytes each
  std::int64_t next_slot_ = 0;    // of the ring
  bool record_question_ = false;  // the one that is being decided
  std::unordered_set<std::uint64_t> counted_before_;
};

}  // namespace policyd
