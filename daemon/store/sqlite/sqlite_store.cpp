// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"
#include "daemon/sqlite/read_only.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;
using Kind = Trouble::Kind;

// At the start, when no answer waits yet: a short lock must not cost bypass_timeout.
constexpr Millis kPatienceAtStart{2'000};
// Postfix has repeated its question long before.
constexpr Millis kForgetCountedAfter = std::chrono::minutes{10};
// During trouble batches do not retry more often than this.
constexpr Millis kRetryAfter{20};
// After trouble, so that a million rows do not hold up answers: written in some 5 ms.
constexpr std::size_t kRowsAtOnce = 1000;
// At the end, when no answer waits; a transaction stays in memory until its commit.
constexpr std::size_t kRowsAtTheEnd = 20'000;
constexpr std::size_t kAllRows = std::numeric_limits<std::size_t>::max();
constexpr const char* kDiskFull = "the disk of the database is almost full";

// SQLite reports a log's index that cannot grow as an I/O error.
bool is_full(int code) { return code == SQLITE_FULL || code == SQLITE_IOERR; }

}  // namespace

SqliteStore::SqliteStore(EventLoop& loop, Maillog& log, SqliteStoreSettings settings)
    : loop_(loop),
      log_(log),
      settings_(std::move(settings)),
      trouble_(log, settings_.remind_every),
      rules_(loop, log, settings_.file, settings_.table_prefix),
      pending_(log, rules_, settings_.cache_entries),
      table_repair_(log, settings_.table_prefix, settings_.recreate_after),
      log_room_(settings_.file, settings_.largest_log),
      file_at_start_(log, settings_.file, settings_.table_prefix, settings_.reopen_after),
      file_(loop, log, trouble_,
            {settings_.file, settings_.table_prefix, settings_.poll_every, settings_.check_every},
            settings_.backup_every,
            {[this] { storing_later_ |= pending_.dirty() > 0; },
             [this](bool adopted) { reopen(adopted); }}),
      unstored_file_(log, settings_.file, settings_.run_folder) {
  session_.pass_over(own_commits_);
  every(settings_.retry_every, &SqliteStore::retry_pending);
  every(settings_.poll_every, &SqliteStore::poll_for_changes);
}

void SqliteStore::every(Millis period, void (SqliteStore::*task)()) {
  loop_.after(period, guard_.wrap([this, period, task] {
    (this->*task)();
    every(period, task);
  }));
}

void SqliteStore::open() {
  if (at_start_) take_over_unstored();
  const auto opened = try_open();
  if (opened) {
    storing_later_ |= trouble_.is(Kind::writing);
    store_some();
    return;
  }
  close_file();
  read_only();
  const bool known = trouble_.is(Kind::writing);
  report_trouble(opened.error().message + (known ? "" : why_unwritable(settings_.file)));
}

Result<void> SqliteStore::try_open() {
  if (auto exists = ensure_exists(); !exists) return exists;
  auto opened = open_existing();
  if (opened || rules()) return opened;
  close_file();
  if (!file_at_start_.replace_if_damaged(opened.error().message)) return opened;
  return open_existing();
}

// A database that cannot be opened for writing still has rules, and new ones when it changes.
void SqliteStore::read_only() {
  const auto state = DatabaseState::of(settings_.file);
  if (rules() && read_state_ == state) return;
  read_state_ = state;
  if (rules()) {
    rules_.reload_unwritable();
  } else {
    static_cast<void>(rules_.load_first_unwritable());  // why it cannot be opened is reported
  }
}

Result<void> SqliteStore::ensure_exists() {
  std::error_code code;
  const bool exists = std::filesystem::exists(settings_.file, code);
  if (exists && !std::filesystem::is_empty(settings_.file, code)) return {};
  if (rules() && !exists) {
    // It was deleted before it could be opened again: not a case for a fresh database.
    file_.replace_missing();
    return failure(fmt::format("{} is gone", settings_.file.string()));
  }
  return file_at_start_.create();
}

Result<void> SqliteStore::open_existing() {
  const Millis patience = std::exchange(at_start_, false) ? kPatienceAtStart : Millis{0};
  if (auto opened = session_.open(settings_.file, patience); !opened) return opened;
  if (sqlite3_db_readonly(session_.db(), "main") == 1) {
    return failure(fmt::format("{} cannot be written", settings_.file.string()));
  }
  if (auto prepared = prepare(); !prepared) {
    return failure(fmt::format("{}: {}", settings_.file.string(), prepared.error().message));
  }
  log_room_.look_again();
  checkpoint_ =
      std::make_unique<Checkpoint>(loop_, settings_.file, [this] { finish_checkpoint(); });
  session_.start_serving(settings_.sync_each_commit,
                         [this](std::int64_t bytes) { on_wal_size(bytes); });
  loop_.after(kForgetCountedAfter, guard_.wrap([this] { pending_.forget_counted(); }));
  file_.opened();
  if (rules()) file_.on_rules_version(rules()->version);
  if (std::exchange(read_state_, std::nullopt)) rules_.force_reload();
  return {};
}

Result<void> SqliteStore::prepare() {
  const auto missing = missing_parts(session_.db(), settings_.table_prefix);
  if (!missing) return tl::unexpected{missing.error()};
  auto done = prepare_database(session_.db(), settings_.table_prefix);
  if (done && !missing->empty()) {
    log_.notice(fmt::format("added to the database: {}", fmt::join(*missing, ", ")));
  }
  // Later the next batch reloads them, as after a commit by another connection: perhaps on another
  // thread.
  if (done && !rules()) done = rules_.load_first(session_.db());
  if (done) done = pending_.attach(session_.db(), settings_.table_prefix);
  return done;
}

void SqliteStore::close_file() {
  file_.closed();
  checkpoint_.reset();
  pending_.detach();
  rules_.detach(session_.db());
  session_.close();
}

// Another file has taken the place of the one that is open.
void SqliteStore::reopen(bool adopted) {
  close_file();
  rules_.force_reload();
  if (!adopted) pending_.overwrite_tables();
  open();
  if (!session_) return;
  storing_later_ = pending_.dirty() > 0;
  store_some();
}

void SqliteStore::on_wal_size(std::int64_t bytes) {
  log_bytes_ = bytes;
  const LogRoom::Need need = log_room_.on_log_size(bytes);
  if (need != LogRoom::Need::nothing) checkpoint_->start();
  const bool too_large = bytes > settings_.largest_log;
  if ((!too_large && need != LogRoom::Need::stop) || trouble_.is(Kind::log)) return;
  storing_later_ = true;
  if (too_large) {
    trouble_.begin(Kind::log,
                   fmt::format("the write-ahead log has grown to {} MiB, because a reader keeps an "
                               "old snapshot open",
                               bytes >> 20),
                   "counting in memory until it finishes");
  } else {
    trouble_.begin(Kind::log, kDiskFull, "counting in memory until there is room",
                   settings_.short_lock);
  }
}

// Little is left to move, and no batch is writing.
void SqliteStore::finish_checkpoint() {
  if (!session_ || done_ || file_.is_lost()) return;
  if (session_.restart_log(log_room_.is_tight()) != SQLITE_OK) return;
  if (!trouble_.is(Kind::log) || !log_room_.can_begin()) return;
  trouble_.end(Kind::log);
  storing_later_ |= !pending_.all_rows_stored();
  store_some();
}

void SqliteStore::commit(TimePoint now, Uses uses, Decide decide, Done done) {
  uses_ = uses;
  decide_ = std::move(decide);
  done_ = std::move(done);
  decided_ = false;
  batch_began_ = Steady::now();
  next_wait_ = settings_.first_retry;
  pending_.begin_batch(now);
  // A full disk is left to the timer.
  const bool soon = batch_began_ - last_attempt_ < kRetryAfter || is_full(last_code_);
  if (!may_write() || (storing_later_ && soon)) {
    decide_(pending_);
    finish(Outcome::remembered);
    return;
  }
  const bool writes_little =
      uses == Uses::counters_to_read || (uses == Uses::counters && wrote_nothing_);
  const bool decides_first =
      writes_little && pending_.dirty() == 0 && session_.foreign_commit() == false;
  if (decides_first) {
    decided_ = true;
    decide_(pending_);
    if (pending_.nothing_to_write()) return finish(Outcome::stored);
  }
  attempt();
}

bool SqliteStore::may_write() const {
  return session_ && !file_.is_lost() && !trouble_.is(Kind::log);
}

void SqliteStore::attempt() {
  if (!may_write()) return wait_or_remember();  // it became so while this batch waited
  last_attempt_ = Steady::now();
  int code = begin();
  if (code == SQLITE_OK) {
    code = decide_once();
    if (code == SQLITE_OK) {
      code = write_and_commit(storing_later_ ? log_room_.rows_at_once(kRowsAtOnce) : kAllRows);
    }
    if (code == SQLITE_OK) {
      if (storing_later_ && pending_.all_rows_stored()) on_all_stored();
      return finish(storing_later_ ? Outcome::remembered : Outcome::stored);
    }
  }
  note_error(code);
  roll_back();
  wait_or_remember();
}

void SqliteStore::note_error(int code) {
  last_error_ = session_.error();
  last_code_ = code & 0xFF;
  if (last_code_ == SQLITE_CORRUPT || last_code_ == SQLITE_NOTADB) file_.check_now();
  // The log may hold what fills the disk.
  if (is_full(last_code_)) checkpoint_->start();
}

// In the open transaction, which must not be committed if this is not SQLITE_OK.
int SqliteStore::decide_once() {
  if (std::exchange(decided_, true)) return SQLITE_OK;
  return pending_.decide(uses_, decide_);
}

void SqliteStore::wait_or_remember() {
  const auto waited = std::chrono::duration_cast<Millis>(Steady::now() - batch_began_);
  const Millis left = settings_.patience - waited;
  if (may_write() && !storing_later_ && left > Millis{0}) {
    loop_.after(std::min(next_wait_, left), guard_.wrap([this] { attempt(); }));
    next_wait_ *= 2;
    return;
  }
  if (!std::exchange(decided_, true)) decide_(pending_);
  if (may_write())
    report_trouble(last_error_, last_code_ == SQLITE_BUSY ? settings_.short_lock : Millis{0});
  finish(Outcome::remembered);
}

void SqliteStore::finish(Outcome outcome) {
  pending_.end_batch();
  decide_ = nullptr;
  std::exchange(done_, nullptr)(outcome);
}

int SqliteStore::begin() {
  const int code = session_.begin();
  return code == SQLITE_OK ? refresh() : code;
}

// In the open transaction: applies what other connections have committed.
int SqliteStore::refresh() {
  const auto foreign_commit = session_.foreign_commit();
  if (!foreign_commit) return sqlite3_errcode(session_.db());
  if (!*foreign_commit && !table_repair_.recreation_is_due()) return SQLITE_OK;
  const int code = table_repair_.repair(session_, rules() ? rules()->version : 0);
  if (code != SQLITE_OK) return code;
  session_.remember_version();
  pending_.on_foreign_commit();
  rules_.refresh(session_.db());
  if (rules()) file_.on_rules_version(rules()->version);
  return SQLITE_OK;
}

int SqliteStore::write_and_commit(std::size_t max_rows) {
  wrote_nothing_ = pending_.nothing_to_write();
  int code = pending_.write(max_rows);
  if (code == SQLITE_OK) code = session_.commit();
  if (code == SQLITE_OK) pending_.committed();
  return code;
}

void SqliteStore::roll_back() {
  session_.roll_back();
  pending_.rolled_back();
}

// A timer: there may be trouble, and no batches.
void SqliteStore::retry_pending() {
  trouble_.remind(pending_.dirty());
  if (trouble_.is(Kind::log) && checkpoint_) checkpoint_->start();
  if (storing_later_) store_some();
}

void SqliteStore::store_some() {
  if (!storing_later_ || !may_write() || done_) return;
  pending_.begin_batch(wall_clock());
  int code = begin();
  if (code == SQLITE_OK) code = write_and_commit(log_room_.rows_at_once(kRowsAtOnce));
  if (code != SQLITE_OK) {
    note_error(code);
    return roll_back();
  }
  if (pending_.all_rows_stored()) return on_all_stored();
  loop_.post(guard_.wrap([this] { store_some(); }));
}

// A timer: a file that could not be opened is tried again; and many rules are loaded on another
// thread, which is to start when they change, not with the next batch.
void SqliteStore::poll_for_changes() {
  if (done_) return;
  if (!session_ && !file_.is_being_replaced()) return open();
  if (storing_later_ || !may_write()) return;
  if (session_.foreign_commit() != true && !table_repair_.recreation_is_due()) return;
  if (begin() == SQLITE_OK && session_.commit() == SQLITE_OK) return;
  roll_back();
}

void SqliteStore::report_trouble(std::string what, Millis unnoticed) {
  storing_later_ = true;
  trouble_.begin(
      Kind::writing, std::move(what),
      rules() ? "counting in memory" : "no rules could be read: answering as bypass_mode says",
      unnoticed);
  trouble_.remind(pending_.dirty());
}

void SqliteStore::on_all_stored() {
  storing_later_ = false;
  last_code_ = SQLITE_OK;
  if (trouble_.end(Kind::writing)) {
    log_.notice("database writable again; all pending counters are stored");
  }
  if (std::exchange(took_over_unstored_, false)) {
    unstored_file_.remove();
    log_.notice("all counters that were taken over are stored");
  }
  if (const std::size_t lost = pending_.take_lost(); lost > 0) {
    log_.error(
        fmt::format("{} counter updates were lost while the database was unavailable", lost));
  }
}

void SqliteStore::close(std::chrono::milliseconds patience) {
  const auto until = Steady::now() + patience;
  if (trouble_.end(Kind::log) && session_) session_.restart_log(true);
  file_.replace_at_end(static_cast<std::uintmax_t>(log_bytes_), patience);
  if (file_.is_lost()) pending_.overwrite_tables();
  store_at_end(until);
  if (!pending_.nothing_to_write()) return keep_unstored();
  if (took_over_unstored_) unstored_file_.remove();
}

void SqliteStore::store_at_end(Steady::time_point until) {
  while (may_write() && !pending_.nothing_to_write()) {
    if (begin() == SQLITE_OK &&
        write_and_commit(log_room_.rows_at_once(kRowsAtTheEnd)) == SQLITE_OK)
      continue;
    last_error_ = session_.error();
    roll_back();
    if (Steady::now() >= until) return;
    session_.restart_log(true);
    std::this_thread::sleep_for(kRetryAfter);
  }
}

// For the next process.
void SqliteStore::keep_unstored() {
  const std::string& why = may_write() ? last_error_ : trouble_.what();
  if (const auto kept = unstored_file_.write(pending_.save()); kept) {
    log_.warning(
        fmt::format("{} counters and {} messages could not be stored and are kept in {} for the "
                    "next start: {}",
                    pending_.dirty(), pending_.messages(), kept->string(), why));
  } else {
    log_.error(
        fmt::format("{} counters and {} messages could not be stored and are lost: {}; nor could "
                    "they be kept: {}",
                    pending_.dirty(), pending_.messages(), why, kept.error().message));
  }
}

void SqliteStore::take_over_unstored() {
  const auto content = unstored_file_.read();
  if (!content) return;
  took_over_unstored_ = true;
  storing_later_ = true;
  const auto loaded = pending_.load(content->bytes);
  log_.notice(
      fmt::format("took over {} counters and {} messages from {}, which could not be stored "
                  "before",
                  pending_.dirty(), pending_.messages(), content->file.string()));
  if (!loaded) {
    log_.error(fmt::format("{}: {}", content->file.string(), loaded.error().message));
  }
}

}  // namespace policyd
