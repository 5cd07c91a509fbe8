// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite_store.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "daemon/database.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;

// Batches whose questions are remembered for Postfix's retry after a crash. Only answers that had
// not gone out are asked for again: those of the last batch; the rest is reserve.
constexpr std::int64_t kRingSlots = 16;
// Postfix has asked again long before.
constexpr Millis kForgetCountedAfter = std::chrono::minutes{10};
// While there is trouble a batch does not try more often than this whether it is over.
constexpr Millis kTryAgainAfter{20};

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
      rules_(loop, log, settings_.file, settings_.table_prefix) {
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

void SqliteStore::open() {
  const auto opened = open_now();
  if (opened) {
    if (!trouble_.empty()) trouble_over();
    return;
  }
  checkpoint_.reset();
  each_counter_table(
      [&](auto& table) { static_cast<void>(table.attach(nullptr, settings_.table_prefix)); });
  greylisting_.attach(nullptr, settings_.table_prefix);
  helo_tracking_.attach(nullptr, settings_.table_prefix);
  sessions_.attach(nullptr, settings_.table_prefix);
  for (sql::Statement* statement : {&begin_, &commit_, &rollback_, &data_version_, &note_}) {
    *statement = {};
  }
  db_.reset();
  trouble_with(opened.error().message);
  loop_.after(settings_.reopen_after, [this, alive = alive_] {
    if (*alive && !db_) open();
  });
}

Result<void> SqliteStore::open_now() {
  std::error_code code;
  const bool exists = std::filesystem::exists(settings_.file, code);
  if (!exists || std::filesystem::is_empty(settings_.file, code)) {
    auto made = create_database(settings_.file, settings_.table_prefix);
    if (!made) return made;
    log_.notice(fmt::format("made the database {}", settings_.file.string()));
  }
  auto db = open_database(settings_.file, OpenMode::read_write, Millis{0});
  if (!db) return tl::unexpected{db.error()};
  auto done = prepare_database(db->get(), settings_.table_prefix);
  // Also where that failed: a database that cannot be written still has rules.
  auto read = rules_.load_first(db->get());
  if (done) done = std::move(read);
  each_counter_table([&](auto& table) {
    if (done) done = table.attach(db->get(), settings_.table_prefix);
  });
  const auto prepare = [&](std::string_view text, sql::Statement& place) {
    if (!done) return;
    auto statement =
        sql::Statement::prepare(db->get(), sql::with_prefix(text, settings_.table_prefix));
    if (!statement) {
      done = tl::unexpected{statement.error()};
    } else {
      place = std::move(*statement);
    }
  };
  prepare("BEGIN IMMEDIATE", begin_);
  prepare("COMMIT", commit_);
  prepare("ROLLBACK", rollback_);
  prepare("PRAGMA data_version", data_version_);
  prepare("INSERT OR REPLACE INTO {p}limits_counted (Slot, Hashes) VALUES (?1, ?2)", note_);
  if (done) done = read_counted(db->get());
  if (!done) return failure(fmt::format("{}: {}", settings_.file.string(), done.error().message));

  db_ = std::move(*db);
  greylisting_.attach(db_.get(), settings_.table_prefix);
  helo_tracking_.attach(db_.get(), settings_.table_prefix);
  sessions_.attach(db_.get(), settings_.table_prefix);
  seen_version_ = -1;
  if (settings_.sync_each_commit) sql::execute(db_.get(), "PRAGMA synchronous=FULL");
  checkpoint_ =
      std::make_unique<Checkpoint>(loop_, settings_.file, [this] { finish_checkpoint(); });
  watch_log_size();
  return {};
}

void SqliteStore::watch_log_size() {
  auto page_size = sql::Statement::prepare(db_.get(), "PRAGMA page_size");
  page_bytes_ = page_size && page_size->step() == SQLITE_ROW ? page_size->integer(0) : 4096;
  sqlite3_wal_hook(
      db_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto& store = *static_cast<SqliteStore*>(self);
        store.checkpoint_->log_is(pages * store.page_bytes_);
        return SQLITE_OK;
      },
      this);
}

Result<void> SqliteStore::read_counted(sqlite3* db) {
  auto select = sql::Statement::prepare(
      db, sql::with_prefix("SELECT Hashes FROM {p}limits_counted", settings_.table_prefix));
  if (!select) return tl::unexpected{select.error()};
  while (select->step() == SQLITE_ROW) {
    const std::string_view hashes = select->blob(0);
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= hashes.size();
         at += sizeof(std::uint64_t)) {
      std::uint64_t hash = 0;
      std::memcpy(&hash, hashes.data() + at, sizeof hash);
      counted_before_.insert(hash);
    }
  }
  loop_.after(kForgetCountedAfter, [this, alive = alive_] {
    if (*alive) counted_before_.clear();
  });
  return {};
}

void SqliteStore::commit(TimePoint now, Decide decide, Done done) {
  now_ = now;
  decide_ = std::move(decide);
  done_ = std::move(done);
  decided_ = false;
  batch_began_ = Steady::now();
  next_wait_ = settings_.first_retry;
  each_counter_table([now](auto& table) { table.begin_batch(now); });
  if (!db_ || (!trouble_.empty() && batch_began_ - last_try_ < kTryAgainAfter)) {
    decide_(*this);
    finish(Outcome::remembered);
    return;
  }
  attempt();
}

void SqliteStore::attempt() {
  last_try_ = Steady::now();
  int code = begin();
  if (code == SQLITE_OK) {
    code = decide_once();
    if (code == SQLITE_OK) code = write_and_commit();
    if (code == SQLITE_OK) {
      if (!trouble_.empty()) trouble_over();
      finish(Outcome::stored);
      return;
    }
  }
  last_error_ = sql::message_of(db_.get());
  roll_back();
  wait_or_remember();
}

// In the open transaction, which cannot be committed where this is not SQLITE_OK.
int SqliteStore::decide_once() {
  if (std::exchange(decided_, true)) return SQLITE_OK;
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
  if (trouble_.empty() && left > Millis{0}) {
    loop_.after(std::min(next_wait_, left), [this, alive = alive_] {
      if (*alive) attempt();
    });
    next_wait_ *= 2;
    return;
  }
  if (!std::exchange(decided_, true)) decide_(*this);
  trouble_with(last_error_);
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
  int code = begin_.run();
  if (code != SQLITE_DONE) return code;
  code = refresh();
  return code;
}

// What somebody else committed counts from here on.
int SqliteStore::refresh() {
  std::int64_t version = 0;
  {
    const sql::Resetting resetting{data_version_};
    const int code = data_version_.step();
    if (code != SQLITE_ROW) return code;
    version = data_version_.integer(0);
  }
  if (version == seen_version_) return SQLITE_OK;
  seen_version_ = version;
  each_counter_table([](auto& table) { table.somebody_else_committed(); });
  rules_.refresh(db_.get());
  return SQLITE_OK;
}

int SqliteStore::write_and_commit() {
  int code = quotas_.write_dirty();
  if (code == SQLITE_OK) code = accounting_.write_dirty();
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
}

Counter& SqliteStore::counter(std::int64_t limit_id, std::string_view track_key) {
  return quotas_.touch({limit_id, {track_key}});
}

void SqliteStore::changed(Counter& counter, double units) { quotas_.changed(counter, units); }

AccountingCounter& SqliteStore::accounting(std::int64_t accounting_id, std::string_view track_key,
                                           std::string_view period_key) {
  return accounting_.touch({accounting_id, {track_key, period_key}});
}

void SqliteStore::changed(AccountingCounter& counter, const AccountingUnits& units) {
  accounting_.changed(counter, units);
}

void SqliteStore::note_counted(std::uint64_t question) {
  hashes_.append(reinterpret_cast<const char*>(&question), sizeof question);
}

bool SqliteStore::was_counted(std::uint64_t question) const {
  return !counted_before_.empty() && counted_before_.contains(question);
}

// A timer: while there is trouble and nobody asks.
void SqliteStore::store_remembered() {
  if (trouble_.empty() || !db_ || done_) return;
  remind();
  now_ = wall_clock();
  each_counter_table([this](auto& table) { table.begin_batch(now_); });
  if (begin() == SQLITE_OK && write_and_commit() == SQLITE_OK) {
    trouble_over();
    return;
  }
  last_error_ = sql::message_of(db_.get());
  roll_back();
}

// A timer: many rows of rules are read on another thread; it shall begin when they change.
void SqliteStore::look_for_changes() {
  if (!db_ || done_ || !trouble_.empty()) return;
  if (sql::execute(db_.get(), "BEGIN") != SQLITE_OK) return;
  refresh();
  sql::execute(db_.get(), "COMMIT");
}

void SqliteStore::trouble_with(std::string what) {
  if (trouble_.empty()) {
    log_.error(fmt::format("database trouble: {}; {}", what,
                           rules_.current() ? "decisions go on from memory"
                                            : "no rules could be read: bypass_mode answers"));
    reminded_ = Steady::now();
  }
  trouble_ = std::move(what);
  remind();
}

void SqliteStore::remind() {
  if (Steady::now() - reminded_ < settings_.remind_every) return;
  reminded_ = Steady::now();
  log_.error(fmt::format("database trouble goes on: {}; {} counters wait to be stored", trouble_,
                         dirty()));
}

void SqliteStore::trouble_over() {
  trouble_.clear();
  log_.notice("the database works again; all that was counted is stored");
  std::size_t lost = 0;
  each_counter_table([&lost](auto& table) { lost += table.take_lost(); });
  if (lost > 0) {
    log_.error(
        fmt::format("{} changes of counters could not be kept meanwhile and are lost", lost));
  }
}

// Little is left to move, and nobody of us writes now: so the log begins anew with the next batch.
void SqliteStore::finish_checkpoint() {
  if (!db_ || done_) return;
  sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
}

void SqliteStore::close(std::chrono::milliseconds patience) {
  const auto until = Steady::now() + patience;
  while (db_ && dirty() > 0) {
    if (begin() == SQLITE_OK && write_and_commit() == SQLITE_OK) break;
    last_error_ = sql::message_of(db_.get());
    roll_back();
    if (Steady::now() >= until) break;
    std::this_thread::sleep_for(kTryAgainAfter);
  }
  if (dirty() > 0) {
    log_.error(fmt::format("{} counters could not be stored and are lost: {}", dirty(),
                           db_ ? last_error_ : trouble_));
  }
}

}  // namespace policyd
