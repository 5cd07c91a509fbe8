// SPDX-License-Identifier: AGPL-3.0-only
// The store on CBPolicyD's SQLite database. A batch is BEGIN IMMEDIATE; has somebody else
// committed? then what is cached counts as old; decide; write; COMMIT. It decides first, and does
// the rest only if there is something to write, where decisions use counters alone and nobody has
// committed since the last batch that wrote nothing (wal_index): a flood that is refused costs the
// database nothing. (Two daemons that count in one database may so let one batch through together.)
// Where the commit does not succeed within 50 ms, while the loop goes on, the batch is answered
// from memory, what it counted stays to be written, and that is tried again at least once a second
// until the trouble is over. A file that is gone or damaged is replaced (watch, backups); until
// then nothing is written to it.
// Contract: store.hpp. The loop's thread, but for the threads of its parts.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_set>

#include "daemon/counting/counters.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/backups.hpp"
#include "daemon/store/recovery/file_watch.hpp"
#include "daemon/store/sqlite/cached_table.hpp"
#include "daemon/store/sqlite/checkpoint.hpp"
#include "daemon/store/sqlite/rules_source.hpp"
#include "daemon/store/sqlite/session_table.hpp"
#include "daemon/store/sqlite/sqlite_greylisting.hpp"
#include "daemon/store/sqlite/sqlite_helo_tracking.hpp"
#include "daemon/store/sqlite/trouble.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

struct SqliteStoreSettings {
  std::filesystem::path file;
  std::string table_prefix;
  bool sync_each_commit = false;  // durability=full
  std::size_t cache_entries = 200'000;
  Millis reopen_after{30'000};  // bypass_timeout
  std::chrono::seconds backup_every{3600};
  std::int64_t largest_log = 256 * 1024 * 1024;  // bytes; beyond it nothing is written
  // Parameters, so that tests need not wait.
  Millis patience{50};          // until a batch is answered from memory
  Millis first_retry{2};        // of a batch that waits
  Millis retry_every{500};      // while there is trouble
  Millis look_every{1'000};     // for rules that changed while nobody asked, for a lost file
  Millis check_every{10'000};   // the file, through another connection
  Millis remind_every{60'000};  // of trouble, in the log
};

class SqliteStore final : public Store, private Transaction {
 public:
  SqliteStore(EventLoop& loop, Maillog& log, SqliteStoreSettings settings);
  ~SqliteStore() override;

  // Opens the database, or makes it, or takes over what the Perl daemon wrote. Where that fails
  // the store works without it, says so in trouble(), and tries again.
  void open();

  void commit(TimePoint now, Uses uses, Decide decide, Done done) override;
  [[nodiscard]] const std::shared_ptr<const Rules>& rules() const override {
    return rules_.current();
  }
  [[nodiscard]] const std::string& trouble() const override { return trouble_.what(); }
  // Counters that wait to be stored, while there is trouble.
  [[nodiscard]] std::size_t unstored() const { return dirty(); }
  void close(std::chrono::milliseconds patience) override;

 private:
  // Transaction
  [[nodiscard]] TimePoint now() const override { return now_; }
  Counter& counter(std::int64_t limit_id, std::string_view track_key) override;
  void changed(Counter& counter, double units) override;
  AccountingCounter& accounting(std::int64_t accounting_id, std::string_view track_key,
                                std::string_view period_key) override;
  void changed(AccountingCounter& counter, const AccountingUnits& units) override;
  GreylistingTables* greylisting() override {
    to_note_ = true;
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

  // sqlite_store_file.cpp: the file that is open, and what becomes of it.
  Result<void> open_now();
  Result<void> make_sure_there_is_one();
  Result<void> open_file(sql::Handle& db);
  Result<void> open_existing();
  Result<void> prepare_statements(sqlite3* db);
  Result<void> read_counted(sqlite3* db);
  void close_file();
  void watch_log_size();
  void found(const FileFinding& finding);
  void replaced(const Result<Replacement>& result);
  void log_is(std::int64_t bytes);
  void finish_checkpoint();

  // The life of a batch.
  [[nodiscard]] bool may_write() const;
  void attempt();
  int decide_once();
  void wait_or_remember();
  void finish(Outcome outcome);
  template <typename Action>
  void each_counter_table(Action action) {
    action(quotas_);
    action(accounting_);
  }
  [[nodiscard]] bool has_nothing_to_write() const {
    return dirty() == 0 && hashes_.empty() && sessions_.empty();
  }
  // Rows that wait to be stored.
  [[nodiscard]] std::size_t dirty() const { return quotas_.dirty() + accounting_.dirty(); }
  int begin();
  [[nodiscard]] std::int64_t data_version();  // -1 if it cannot be read
  int refresh();
  int mend_schema();
  int write_and_commit(std::size_t most);  // rows of each table
  int write_counted();
  void roll_back();
  void store_remembered();
  void store_some();
  void look_for_changes();
  void trouble_with(std::string what);
  void all_is_stored();
  void every(Millis period, void (SqliteStore::*task)());

  EventLoop& loop_;
  Maillog& log_;
  SqliteStoreSettings settings_;
  sql::Handle db_;
  sql::Statement begin_, commit_, rollback_, data_version_, schema_version_, note_;
  std::int64_t seen_version_ = -1;  // data_version
  std::int64_t seen_schema_ = -1;   // schema_version
  bool wrote_nothing_ = false;  // the last batch
  std::int64_t page_bytes_ = 4096;
  CachedTable<QuotaRecord> quotas_;
  CachedTable<AccountingRecord> accounting_;
  SqliteGreylisting greylisting_;
  SqliteHeloTracking helo_tracking_;
  SessionTable sessions_;
  RulesSource rules_;
  std::unique_ptr<Checkpoint> checkpoint_;
  Backups backups_;
  FileWatch watch_;

  TimePoint now_{};
  Uses uses_ = Uses::everything;
  Decide decide_;
  Done done_;
  bool decided_ = false;
  std::chrono::steady_clock::time_point batch_began_;
  std::chrono::steady_clock::time_point last_try_;
  Millis next_wait_{0};

  Trouble trouble_;
  std::string last_error_;
  std::string mending_error_;  // said already
  bool at_start_ = true;
  bool storing_later_ = false;  // more waits to be stored than one batch may write
  bool file_lost_ = false;      // what is open has no name any more, or is damaged
  bool replacing_ = false;      // and somebody sees to it
  bool memory_wins_ = false;    // over the file that is opened next
  std::chrono::steady_clock::time_point lost_tried_;

  std::string hashes_;          // of this batch, eight bytes each
  bool to_note_ = false;        // the question that is being decided
  std::int64_t next_slot_ = 0;  // of the ring limits_counted
  std::unordered_set<std::uint64_t> counted_before_;
  // shared_ptr: timers may fire after this object is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace policyd
