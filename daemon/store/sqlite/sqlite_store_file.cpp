// SPDX-License-Identifier: AGPL-3.0-only
// The file that the store has open: opening it, seeing that it is lost, opening what takes its
// place, and its log.
#include <fmt/core.h>

#include <cstring>
#include <system_error>
#include <utility>

#include "daemon/sqlite/database.hpp"
#include "daemon/store/sqlite/sqlite_store.hpp"

namespace policyd {

namespace {

using Steady = std::chrono::steady_clock;
using Kind = Trouble::Kind;

// Postfix has asked again long before.
constexpr Millis kForgetCountedAfter = std::chrono::minutes{10};
constexpr Millis kPatienceAtStart{2'000};

Lost lost_by(FileFinding::Kind kind) {
  if (kind == FileFinding::Kind::gone) return Lost::gone;
  return kind == FileFinding::Kind::other ? Lost::other : Lost::damaged;
}

}  // namespace

void SqliteStore::open() {
  const auto opened = open_now();
  if (opened) {
    if (trouble_.is(Kind::writing)) {
      storing_later_ = true;
      store_some();
    }
    return;
  }
  close_file();
  trouble_with(opened.error().message);
  loop_.after(settings_.reopen_after, [this, alive = alive_] {
    if (*alive && !db_ && !replacing_) open();
  });
}

void SqliteStore::close_file() {
  watch_.closed();
  checkpoint_.reset();
  each_counter_table(
      [&](auto& table) { static_cast<void>(table.attach(nullptr, settings_.table_prefix)); });
  greylisting_.attach(nullptr, settings_.table_prefix);
  helo_tracking_.attach(nullptr, settings_.table_prefix);
  sessions_.attach(nullptr, settings_.table_prefix);
  rules_.forget(db_.get());
  for (sql::Statement* statement :
       {&begin_, &commit_, &rollback_, &data_version_, &schema_version_, &note_}) {
    *statement = {};
  }
  // What closes now may be no sound database, or no longer be the one of this name.
  if (db_) keep_log_on_close(db_.get());
  db_.reset();
}

Result<void> SqliteStore::open_now() {
  const bool first = rules_.current() == nullptr;
  if (auto there = make_sure_there_is_one(); !there) return there;
  auto opened = open_existing();
  if (opened || !first) return opened;
  const auto other = replace_damaged_by_backup(settings_.file);
  if (!other) return opened;
  log_.error(fmt::format("{}; {}", opened.error().message, other->what));
  rules_.read_again();  // some may have been read
  return open_existing();
}

Result<void> SqliteStore::make_sure_there_is_one() {
  std::error_code code;
  const bool exists = std::filesystem::exists(settings_.file, code);
  if (exists && !std::filesystem::is_empty(settings_.file, code)) return {};
  if (rules_.current() && !exists) {
    // Not a fresh one then: it went before it could be opened again.
    replacing_ = true;
    backups_.replace(Lost::gone, [this](const Result<Replacement>& result) { replaced(result); });
    return failure(fmt::format("{} is gone", settings_.file.string()));
  }
  if (auto made = create_database(settings_.file, settings_.table_prefix); !made) return made;
  log_.notice(fmt::format("made the database {}", settings_.file.string()));
  if (std::filesystem::exists(backup_of(settings_.file), code)) {
    log_.warning(
        fmt::format("a backup of a former one is there: 'carbonio-limits restore {}' "
                    "takes it back",
                    backup_of(settings_.file).string()));
  }
  return {};
}

Result<void> SqliteStore::open_existing() {
  // At the start nobody waits for an answer yet, and a moment's lock must not cost bypass_timeout.
  const Millis patience = std::exchange(at_start_, false) ? kPatienceAtStart : Millis{0};
  auto db = open_database(settings_.file, OpenMode::serve, patience);
  if (!db) return tl::unexpected{db.error()};
  if (auto done = open_file(*db); !done) {
    return failure(fmt::format("{}: {}", settings_.file.string(), done.error().message));
  }
  sqlite3_busy_timeout(db->get(), 0);
  db_ = std::move(*db);
  greylisting_.attach(db_.get(), settings_.table_prefix);
  helo_tracking_.attach(db_.get(), settings_.table_prefix);
  sessions_.attach(db_.get(), settings_.table_prefix);
  seen_version_ = -1;
  seen_schema_ = -1;
  if (settings_.sync_each_commit) sql::execute(db_.get(), "PRAGMA synchronous=FULL");
  checkpoint_ = std::make_unique<Checkpoint>(loop_, settings_.file, settings_.largest_log,
                                             [this] { finish_checkpoint(); });
  watch_log_size();
  const DatabaseIds ids = DatabaseIds::of(settings_.file);
  backups_.opened(ids);
  watch_.opened(ids);
  if (rules()) backups_.rules_are(rules()->version);
  return {};
}

Result<void> SqliteStore::open_file(sql::Handle& db) {
  auto done = prepare_database(db.get(), settings_.table_prefix);
  // Also where that failed: a database that cannot be written still has rules. Later ones are read
  // with the next batch, as if somebody had changed them: perhaps on another thread.
  auto read = rules_.current() ? Result<void>{} : rules_.load_first(db.get());
  if (done) done = std::move(read);
  each_counter_table([&](auto& table) {
    if (done) done = table.attach(db.get(), settings_.table_prefix);
  });
  if (done) done = prepare_statements(db.get());
  if (done) done = read_counted(db.get());
  return done;
}

Result<void> SqliteStore::prepare_statements(sqlite3* db) {
  Result<void> done;
  const auto prepare = [&](std::string_view text, sql::Statement& place) {
    if (!done) return;
    auto statement = sql::Statement::prepare(db, sql::with_prefix(text, settings_.table_prefix));
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
  prepare("PRAGMA schema_version", schema_version_);
  prepare("INSERT OR REPLACE INTO {p}limits_counted (Slot, Hashes) VALUES (?1, ?2)", note_);
  return done;
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

// What the watch saw.
void SqliteStore::found(const FileFinding& finding) {
  if (replacing_ || !db_) return;
  switch (finding.kind) {
    case FileFinding::Kind::sound:
      // Also one that was moved away and came back.
      if (!trouble_.is(Kind::file)) return;
      trouble_.end(Kind::file);
      file_lost_ = false;
      log_.notice(fmt::format("{} is sound", settings_.file.string()));
      storing_later_ |= dirty() > 0;
      return;
    case FileFinding::Kind::unfit:
      return trouble_.begin(Kind::file, finding.what, "what is open goes on to be used");
    default:
      break;
  }
  const auto now = Steady::now();
  if (file_lost_ && now - lost_tried_ < settings_.check_every) return;
  lost_tried_ = now;
  file_lost_ = true;
  replacing_ = true;
  if (!trouble_.is(Kind::file)) {
    trouble_.begin(Kind::file, finding.what,
                   "decisions go on from memory, and another takes its place");
  }
  backups_.replace(lost_by(finding.kind),
                   [this](const Result<Replacement>& result) { replaced(result); });
}

void SqliteStore::replaced(const Result<Replacement>& result) {
  replacing_ = false;
  if (!result) {
    trouble_.begin(Kind::file,
                   fmt::format("{} is lost and cannot be replaced: {}", settings_.file.string(),
                               result.error().message),
                   "decisions go on from memory, and it is tried again");
    return;
  }
  // Until the watch has read the new one: so that the trouble is seen where it is looked for.
  trouble_.begin(Kind::file, fmt::format("{} was lost: {}", settings_.file.string(), result->what),
                 "it is looked at before this counts as mended");
  // A batch that waits for somebody's lock is answered from memory then.
  close_file();
  file_lost_ = false;
  rules_.read_again();
  if (!result->taken) each_counter_table([](auto& table) { table.memory_wins(); });
  open();
  if (!db_) return;
  storing_later_ = dirty() > 0;
  store_some();
}

void SqliteStore::watch_log_size() {
  auto page_size = sql::Statement::prepare(db_.get(), "PRAGMA page_size");
  page_bytes_ = page_size && page_size->step() == SQLITE_ROW ? page_size->integer(0) : 4096;
  sqlite3_wal_hook(
      db_.get(),
      [](void* self, sqlite3*, const char*, int pages) {
        auto& store = *static_cast<SqliteStore*>(self);
        store.log_is(pages * store.page_bytes_);
        return SQLITE_OK;
      },
      this);
}

void SqliteStore::log_is(std::int64_t bytes) {
  checkpoint_->log_is(bytes);
  if (bytes <= settings_.largest_log || trouble_.is(Kind::log)) return;
  storing_later_ = true;
  trouble_.begin(Kind::log,
                 fmt::format("the write-ahead log has grown to {} MiB, for somebody reads and does "
                             "not end",
                             bytes >> 20),
                 "decisions go on from memory until he does");
}

// Little is left to move, and nobody of us writes now: so the log begins anew with the next batch.
void SqliteStore::finish_checkpoint() {
  if (!db_ || done_ || file_lost_) return;
  const int code =
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
  if (code != SQLITE_OK || !trouble_.is(Kind::log)) return;
  trouble_.end(Kind::log);
  store_some();
}

}  // namespace policyd
