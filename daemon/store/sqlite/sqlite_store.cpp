// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/sqlite_store.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "daemon/counting/counters.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;

// Batches whose questions are remembered for Postfix's retry after a crash. Only answers that had
// not gone out are asked for again: those of the last batch; the rest is reserve.
constexpr std::int64_t kRingSlots = 16;
// While there is trouble a batch does not try more often than this whether it is over.
constexpr Millis kTryAgainAfter{20};
// After trouble, so that a million rows hold up no answer: written in some 5 ms.
constexpr std::size_t kRowsAtOnce = 1000;
// When no answer waits any more; a transaction stays in memory until its commit.
constexpr std::size_t kRowsAtTheEnd = 20'000;

}  // namespace

SqliteStore::SqliteStore(EventLoop& loop, Maillog& log, SqliteStoreSettings settings)
    : loop_(loop),
      log_(log),
      settings_(std::move(settings)),
      quotas_(settings_.cache_entries, wall_clock()),
      accounting_(settings_.cache_entries, wall_clock()),
      greylisting_(log),
      helo_tracking_(log),
      sessions_(log),
      rules_(loop, log, settings_.file, settings_.table_prefix),
      backups_(loop, log, {settings_.file, settings_.table_prefix, settings_.backup_every}),
      watch_(loop,
             {settings_.file, settings_.table_prefix, settings_.look_every, settings_.check_every},
             [this](const FileFinding& finding) { found(finding); }),
      trouble_(log, settings_.remind_every) {
  every(settings_.retry_every, &SqliteStore::store_remembered);
  every(settings_.look_every, &SqliteStore::look_for_changes);
}

SqliteStore::~SqliteStore() { *alive_ = false; }

void SqliteStore::every(Millis period, void (SqliteStore::*task)()) {
  loop_.after(period, [this, alive = alive_, period, task] {
    if (!*alive) return;
    (this->*task)();
    every(period, task);
  });
}

void SqliteStore::commit(TimePoint now, Uses uses, Decide decide, Done done) {
  now_ = now;
  uses_ = uses;
  decide_ = std::move(decide);
  done_ = std::move(done);
  decided_ = false;
  batch_began_ = Steady::now();
  next_wait_ = settings_.first_retry;
  each_counter_table([now](auto& table) { table.begin_batch(now); });
  if (!may_write() || (storing_later_ && batch_began_ - last_try_ < kTryAgainAfter)) {
    decide_(*this);
    finish(Outcome::remembered);
    return;
  }
  // Read outside of a transaction, the version may only tell that nobody has committed; what is
  // remembered moves in refresh() alone, or an edit made in between would be overwritten.
  const bool decides_first = uses == Uses::counters && dirty() == 0 && wrote_nothing_ &&
                             seen_version_ != -1 && data_version() == seen_version_;
  if (decides_first) {
    decided_ = true;
    decide_(*this);
    if (has_nothing_to_write()) return finish(Outcome::stored);
  }
  attempt();
}

bool SqliteStore::may_write() const {
  return db_ && !file_lost_ && !trouble_.is(Trouble::Kind::log);
}

void SqliteStore::attempt() {
  if (!may_write()) return wait_or_remember();  // while this batch waited
  last_try_ = Steady::now();
  int code = begin();
  if (code == SQLITE_OK) {
    code = decide_once();
    if (code == SQLITE_OK) code = write_and_commit(storing_later_ ? kRowsAtOnce : dirty());
    if (code == SQLITE_OK) {
      if (storing_later_ && dirty() == 0) all_is_stored();
      return finish(storing_later_ ? Outcome::remembered : Outcome::stored);
    }
  }
  last_error_ = sql::message_of(db_.get());
  const int kind = code & 0xFF;
  if (kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB) watch_.check_now();
  roll_back();
  wait_or_remember();
}

// In the open transaction, which cannot be committed where this is not SQLITE_OK.
int SqliteStore::decide_once() {
  if (std::exchange(decided_, true)) return SQLITE_OK;
  if (uses_ == Uses::counters) {
    decide_(*this);
    return SQLITE_OK;
  }
  greylisting_.begin_batch();
  helo_tracking_.begin_batch();
  decide_(*this);
  const int greylisting = greylisting_.end_batch();
  const int helo_tracking = helo_tracking_.end_batch();
  return greylisting != SQLITE_OK ? greylisting : helo_tracking;
}

void SqliteStore::wait_or_remember() {
  const auto waited = std::chrono::duration_cast<Millis>(Steady::now() - batch_began_);
  const Millis left = settings_.patience - waited;
  if (may_write() && !storing_later_ && left > Millis{0}) {
    loop_.after(std::min(next_wait_, left), [this, alive = alive_] {
      if (*alive) attempt();
    });
    next_wait_ *= 2;
    return;
  }
  if (!std::exchange(decided_, true)) decide_(*this);
  if (may_write()) trouble_with(last_error_);
  finish(Outcome::remembered);
}

void SqliteStore::finish(Outcome outcome) {
  each_counter_table([](auto& table) { table.end_batch(); });
  sessions_.end_batch();
  hashes_.clear();
  decide_ = nullptr;
  std::exchange(done_, nullptr)(outcome);
}

int SqliteStore::begin() {
  const int code = begin_.run();
  if (code != SQLITE_DONE) return code;
  return refresh();
}

std::int64_t SqliteStore::data_version() {
  const sql::Resetting resetting{data_version_};
  return data_version_.step() == SQLITE_ROW ? data_version_.integer(0) : -1;
}

// What somebody else committed counts from here on.
int SqliteStore::refresh() {
  const std::int64_t version = data_version();
  if (version == -1) return sqlite3_errcode(db_.get());
  if (version == seen_version_) return SQLITE_OK;
  if (const int code = mend_schema(); code != SQLITE_OK) return code;
  seen_version_ = version;
  each_counter_table([](auto& table) { table.somebody_else_committed(); });
  rules_.refresh(db_.get());
  if (rules()) backups_.rules_are(rules()->version);
  return SQLITE_OK;
}

// A rule table that was dropped and made anew has lost its triggers: they are made again, and all
// rules are read again. Where that cannot be, it is said, and the rest goes on.
int SqliteStore::mend_schema() {
  const auto schema = [this] {
    const sql::Resetting resetting{schema_version_};
    return schema_version_.step() == SQLITE_ROW ? schema_version_.integer(0) : -1;
  };
  if (schema() == seen_schema_ && seen_schema_ != -1) return SQLITE_OK;
  const auto mended =
      mend_database(db_.get(), settings_.table_prefix, rules() ? rules()->version : 0);
  if (sqlite3_get_autocommit(db_.get()) != 0) return SQLITE_ABORT;  // SQLite rolled back
  if (!mended) {
    const std::string& what = mended.error().message;
    if (what != mending_error_) {
      log_.error(fmt::format("tables of the database changed: {}", what));
      mending_error_ = what;
    }
    return SQLITE_OK;
  }
  mending_error_.clear();
  if (*mended) log_.notice("tables of the database were made anew: reading all rules again");
  seen_schema_ = schema();
  return SQLITE_OK;
}

int SqliteStore::write_and_commit(std::size_t most) {
  wrote_nothing_ = has_nothing_to_write();
  int code = quotas_.write_dirty(most);
  if (code == SQLITE_OK) code = accounting_.write_dirty(most);
  if (code == SQLITE_OK) code = write_counted();
  if (code == SQLITE_OK) code = sessions_.write();
  if (code != SQLITE_OK) return code;
  code = commit_.run();
  if (code != SQLITE_DONE) return code;
  each_counter_table([](auto& table) { table.committed(); });
  return SQLITE_OK;
}

int SqliteStore::write_counted() {
  if (hashes_.empty()) return SQLITE_OK;
  note_.bind(1, next_slot_).bind_blob(2, hashes_);
  const int code = note_.run();
  if (code != SQLITE_DONE) return code;
  next_slot_ = (next_slot_ + 1) % kRingSlots;
  return SQLITE_OK;
}

void SqliteStore::roll_back() {
  if (sqlite3_get_autocommit(db_.get()) == 0) rollback_.run();
  each_counter_table([](auto& table) { table.rolled_back(); });
  seen_version_ = -1;  // what was read in that transaction is read again
  seen_schema_ = -1;
}

Counter& SqliteStore::counter(std::int64_t limit_id, std::string_view track_key) {
  return quotas_.touch({limit_id, {track_key}});
}

void SqliteStore::changed(Counter& counter, double units) {
  to_note_ = true;
  quotas_.changed(counter, units);
}

AccountingCounter& SqliteStore::accounting(std::int64_t accounting_id, std::string_view track_key,
                                           std::string_view period_key) {
  return accounting_.touch({accounting_id, {track_key, period_key}});
}

void SqliteStore::changed(AccountingCounter& counter, const AccountingUnits& units) {
  to_note_ = true;
  accounting_.changed(counter, units);
}

bool SqliteStore::begin_question(std::uint64_t question) {
  // One that was counted before a crash is noted again, for another may follow.
  to_note_ = !counted_before_.empty() && counted_before_.contains(question);
  return to_note_;
}

void SqliteStore::end_question(std::uint64_t question) {
  if (to_note_) hashes_.append(reinterpret_cast<const char*>(&question), sizeof question);
}

// A timer: while there is trouble and nobody asks.
void SqliteStore::store_remembered() {
  trouble_.remind(dirty());
  if (trouble_.is(Trouble::Kind::log) && checkpoint_) checkpoint_->try_again();
  if (storing_later_) store_some();
}

void SqliteStore::store_some() {
  if (!storing_later_ || !may_write() || done_) return;
  now_ = wall_clock();
  each_counter_table([this](auto& table) { table.begin_batch(now_); });
  if (begin() != SQLITE_OK || write_and_commit(kRowsAtOnce) != SQLITE_OK) {
    last_error_ = sql::message_of(db_.get());
    return roll_back();
  }
  if (dirty() == 0) return all_is_stored();
  loop_.post([this, alive = alive_] {
    if (*alive) store_some();
  });
}

// A timer: many rows of rules are read on another thread; it shall begin when they change.
void SqliteStore::look_for_changes() {
  if (done_ || storing_later_ || !may_write()) return;
  const std::int64_t version = data_version();
  if (version == -1 || version == seen_version_) return;
  if (begin() == SQLITE_OK && commit_.run() == SQLITE_DONE) return;
  roll_back();
}

void SqliteStore::trouble_with(std::string what) {
  storing_later_ = true;
  trouble_.begin(Trouble::Kind::writing, std::move(what),
                 rules_.current() ? "decisions go on from memory"
                                  : "no rules could be read: bypass_mode answers");
  trouble_.remind(dirty());
}

void SqliteStore::all_is_stored() {
  storing_later_ = false;
  trouble_.end(Trouble::Kind::writing);
  log_.notice("the database works again; all that was counted is stored");
  std::size_t lost = 0;
  each_counter_table([&lost](auto& table) { lost += table.take_lost(); });
  if (lost > 0) {
    log_.error(
        fmt::format("{} changes of counters could not be kept meanwhile and are lost", lost));
  }
}

void SqliteStore::close(std::chrono::milliseconds patience) {
  const auto until = Steady::now() + patience;
  trouble_.end(Trouble::Kind::log);
  while (may_write() && dirty() > 0) {
    if (begin() == SQLITE_OK && write_and_commit(kRowsAtTheEnd) == SQLITE_OK) continue;
    last_error_ = sql::message_of(db_.get());
    roll_back();
    if (Steady::now() >= until) break;
    std::this_thread::sleep_for(kTryAgainAfter);
  }
  if (dirty() > 0) {
    log_.error(fmt::format("{} counters could not be stored and are lost: {}", dirty(),
                           may_write() ? last_error_ : trouble_.what()));
  }
}

}  // namespace policyd
