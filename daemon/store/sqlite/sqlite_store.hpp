// SPDX-License-Identifier: AGPL-3.0-only
// The store on CBPolicyD's SQLite database. A batch is BEGIN IMMEDIATE; if another connection has
// committed, cached rows count as old; decide; write; COMMIT. If decisions use counters alone,
// nobody has committed since, and the last batch wrote nothing or this one is to read only, it
// decides first, and does the rest only if there is something to write: a flood that is refused
// costs no transaction, nor do questions that have to ask other MTAs first. (Two daemons that count
// in one database may so let one batch through together.)
// If the commit does not succeed within 50 ms, while the loop runs on, the batch is answered from
// memory, its counters stay to be written, and that is retried at least once a second until the
// trouble is over. A file that is gone or damaged is replaced (lost_file); until then nothing is
// written to it.
// Contract: store.hpp. The loop's thread, except for the threads of its parts.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/sqlite/checkpoint.hpp"
#include "daemon/store/recovery/file_at_start.hpp"
#include "daemon/store/recovery/file_ids.hpp"
#include "daemon/store/recovery/lost_file.hpp"
#include "daemon/store/recovery/trouble.hpp"
#include "daemon/store/recovery/unstored_file.hpp"
#include "daemon/store/sqlite/database_session.hpp"
#include "daemon/store/sqlite/log_room.hpp"
#include "daemon/store/sqlite/pending_writes.hpp"
#include "daemon/store/sqlite/rules_source.hpp"
#include "daemon/store/sqlite/table_repair.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

struct SqliteStoreSettings {
  std::filesystem::path file;
  std::string table_prefix;
  std::filesystem::path run_folder;  // of the pid file; may be empty
  bool sync_each_commit = false;     // durability=full
  std::size_t cache_entries = 200'000;
  Millis reopen_after{30'000};  // bypass_timeout: a damaged file is examined again
  std::chrono::seconds backup_every{3600};
  std::int64_t largest_log = 256 * 1024 * 1024;  // bytes; beyond it nothing is written
  // Parameters, so that tests need not wait.
  Millis patience{50};           // until a batch is answered from memory
  Millis first_retry{2};         // of a batch that waits
  Millis retry_every{500};       // while there is trouble
  Millis poll_every{1'000};      // for rules that changed between batches, and for a lost file
  Millis check_every{10'000};    // the file, through another connection
  Millis remind_every{60'000};   // of trouble, in the log
  Millis short_lock{5'000};      // which is not logged
  Millis recreate_after{5'000};  // a dropped table: scripts recreate it at once
};

class SqliteStore final : public Store {
 public:
  SqliteStore(EventLoop& loop, Maillog& log, SqliteStoreSettings settings);

  // Opens the database, or creates it, or takes over one of the Perl daemon. If that fails the
  // store works without it, says so in trouble(), and tries again.
  void open();

  void commit(TimePoint now, Uses uses, Decide decide, Done done) override;
  [[nodiscard]] const std::shared_ptr<const Rules>& rules() const override {
    return rules_.current();
  }
  [[nodiscard]] const std::string& trouble() const override { return trouble_.what(); }
  // Counters that are not stored yet, during trouble.
  [[nodiscard]] std::size_t unstored() const { return pending_.dirty(); }
  // The file that the write-ahead log is written to, as FileId::to_string; empty: none.
  [[nodiscard]] std::string open_log() const { return session_ ? file_.open_log() : ""; }
  // The files that are open and can be written, as DatabaseIds::to_string; empty: none.
  [[nodiscard]] std::string open_files() const {
    return session_ && trouble().empty() ? file_.open_files() : "";
  }
  // For connections of this process that write what the store keeps nothing of.
  [[nodiscard]] OwnCommits& own_commits() { return own_commits_; }
  // The loop has stopped, and the last batches follow.
  void stopping() { file_.look(static_cast<std::uintmax_t>(log_bytes_)); }
  void close(std::chrono::milliseconds patience) override;

 private:
  // Opening the file.
  Result<void> try_open();
  Result<void> ensure_exists();
  Result<void> open_existing();
  Result<void> prepare();
  void read_only();
  void close_file();
  void reopen(bool adopted);
  void on_wal_size(std::int64_t bytes);
  void finish_checkpoint();

  // The life of a batch.
  [[nodiscard]] bool may_write() const;
  void attempt();
  int decide_once();
  void wait_or_remember();
  void finish(Outcome outcome);

  // Transactions.
  int begin();
  int refresh();
  int write_and_commit(std::size_t max_rows);  // of each table
  void roll_back();

  // Timers, and trouble.
  void every(Millis period, void (SqliteStore::*task)());
  void retry_pending();
  void store_some();
  void poll_for_changes();
  void note_error(int code);
  void report_trouble(std::string what, Millis unnoticed = {});
  void on_all_stored();
  void take_over_unstored();
  void store_at_end(std::chrono::steady_clock::time_point until);
  void keep_unstored();

  EventLoop& loop_;
  Maillog& log_;
  SqliteStoreSettings settings_;
  Trouble trouble_;
  OwnCommits own_commits_;
  DatabaseSession session_;
  RulesSource rules_;
  PendingWrites pending_;
  TableRepair table_repair_;
  LogRoom log_room_;
  std::unique_ptr<Checkpoint> checkpoint_;  // while a file is open
  FileAtStart file_at_start_;
  LostFile file_;
  UnstoredFile unstored_file_;
  bool took_over_unstored_ = false;  // it stays until its content is in the database
  std::int64_t log_bytes_ = 0;       // of the write-ahead log, as of the last commit
  bool at_start_ = true;
  // While it cannot be opened: as it was when its rules were read.
  std::optional<DatabaseState> read_state_;

  Uses uses_ = Uses::everything;
  Decide decide_;
  Done done_;
  bool decided_ = false;
  std::chrono::steady_clock::time_point batch_began_;
  std::chrono::steady_clock::time_point last_attempt_;
  Millis next_wait_{0};

  bool wrote_nothing_ = false;  // the last transaction
  bool storing_later_ = false;  // more waits to be stored than one batch may write
  std::string last_error_;
  int last_code_ = SQLITE_OK;  // of the last error
  EventLoop::Guard guard_;
};

}  // namespace policyd
