// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/database.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "daemon/sqlite/missing_parts.hpp"
#include "daemon/sqlite/wal_batch_vfs.hpp"
#include "schema_sql.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::array kRuleTables = {"policies",
                                    "policy_members",
                                    "policy_groups",
                                    "policy_group_members",
                                    "quotas",
                                    "accounting",
                                    "quotas_limits",
                                    "access_control",
                                    "greylisting",
                                    "greylisting_whitelist",
                                    "checkhelo",
                                    "checkhelo_blacklist",
                                    "checkhelo_whitelist",
                                    "checkspf"};

constexpr std::array kEvents = {"INSERT", "UPDATE", "DELETE"};

// Raised whenever the tables, triggers or the column below change.
constexpr int kOurSchemaVersion = 2;

constexpr std::string_view kOurTables = R"(
CREATE TABLE IF NOT EXISTS {p}limits_rules_version (
  ID INTEGER PRIMARY KEY CHECK (ID = 1), Version INTEGER NOT NULL, SchemaVersion INTEGER NOT NULL);
INSERT OR IGNORE INTO {p}limits_rules_version VALUES (1, 1, 0);
CREATE TABLE IF NOT EXISTS {p}limits_counted (Slot INTEGER PRIMARY KEY, Hashes BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS {p}limits_events (
  ID INTEGER PRIMARY KEY, Minute INTEGER NOT NULL, Kind TEXT NOT NULL, Module TEXT NOT NULL,
  RowID INTEGER NOT NULL, TrackKey TEXT NOT NULL, Verdict TEXT NOT NULL,
  FirstSeen INTEGER NOT NULL, LastSeen INTEGER NOT NULL, Times INTEGER NOT NULL,
  Client TEXT, Login TEXT, Sender TEXT, Recipient TEXT,
  Used REAL, CounterLimit REAL, FreeAt INTEGER, Who TEXT, Detail TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS {p}limits_events_key ON {p}limits_events (
  Minute, Kind, Module, RowID, TrackKey, Verdict, coalesce(Who, ''));
CREATE INDEX IF NOT EXISTS {p}limits_events_last ON {p}limits_events (LastSeen);
)";

bool has_row(sqlite3* db, const std::string& query) {
  auto statement = sql::Statement::prepare(db, query);
  return statement && statement->step() == SQLITE_ROW;
}

bool has_table(sqlite3* db, std::string_view name) {
  return has_row(db,
                 fmt::format("SELECT 1 FROM sqlite_master WHERE type='table' AND name='{}'", name));
}

std::string triggers(std::string_view table_prefix) {
  std::string out;
  for (const char* table : kRuleTables) {
    for (const char* event : kEvents) {
      out += fmt::format(
          "CREATE TRIGGER IF NOT EXISTS {0}limits_{1}_{2} AFTER {2} ON {0}{1} BEGIN "
          "UPDATE {0}limits_rules_version SET Version = Version + 1; END;\n",
          table_prefix, table, event);
    }
  }
  return out;
}

bool has_state(sqlite3* db, std::string_view table_prefix) {
  return has_row(db, fmt::format("SELECT 1 FROM pragma_table_info('{}quotas_tracking') "
                                 "WHERE name='State'",
                                 table_prefix));
}

// A table that was dropped and recreated, as some upgrades do, has lost its triggers.
bool has_triggers(sqlite3* db, std::string_view table_prefix) {
  return has_row(db, fmt::format("SELECT 1 FROM sqlite_master WHERE type='trigger' AND "
                                 "name GLOB '{}limits_*' GROUP BY type HAVING count(*) = {}",
                                 table_prefix, kRuleTables.size() * kEvents.size()));
}

bool is_complete(sqlite3* db, std::string_view table_prefix) {
  const auto missing = missing_parts(db, table_prefix);
  return missing && missing->empty();
}

bool is_prepared(sqlite3* db, std::string_view table_prefix) {
  return has_table(db, fmt::format("{}limits_rules_version", table_prefix)) &&
         has_row(db, fmt::format("SELECT 1 FROM {}limits_rules_version WHERE SchemaVersion = {}",
                                 table_prefix, kOurSchemaVersion)) &&
         has_table(db, fmt::format("{}limits_events", table_prefix)) &&
         has_state(db, table_prefix) && has_triggers(db, table_prefix) &&
         is_complete(db, table_prefix);
}

bool is_write_ahead(sqlite3* db) {
  auto mode = sql::Statement::prepare(db, "PRAGMA journal_mode");
  return mode && mode->step() == SQLITE_ROW && mode->text(0) == "wal";
}

// Everything of ours, in the open transaction.
Result<void> add_ours(sqlite3* db, std::string_view table_prefix) {
  auto done = add_missing_parts(db, table_prefix);
  if (done) done = sql::execute_or_explain(db, sql::with_prefix(kOurTables, table_prefix));
  const std::string tracking = fmt::format("{}quotas_tracking", table_prefix);
  if (done && !has_state(db, table_prefix)) {
    done =
        sql::execute_or_explain(db, fmt::format("ALTER TABLE {} ADD COLUMN State BLOB", tracking));
  }
  if (done) done = sql::execute_or_explain(db, triggers(table_prefix));
  if (done) {
    done = sql::execute_or_explain(
        db, fmt::format("UPDATE {}limits_rules_version SET SchemaVersion = {}", table_prefix,
                        kOurSchemaVersion));
  }
  return done;
}

Result<sql::Handle> open_with(const fs::path& file, int flags,
                              std::chrono::milliseconds busy_timeout, const char* vfs = nullptr) {
  // SQLite would wait for the other end of a FIFO.
  std::error_code ignored;
  if (fs::exists(file, ignored) && !fs::is_regular_file(file, ignored)) {
    return failure(fmt::format("{} is not a regular file, so not a database", file.string()));
  }
  sqlite3* raw = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
  sql::Handle db{raw};
  if (code != SQLITE_OK) {
    return failure(
        fmt::format("cannot open the database {}: {}", file.string(), sql::message_of(raw)));
  }
  sqlite3_busy_timeout(db.get(), static_cast<int>(busy_timeout.count()));
  return db;
}

// Missing is not the same as out of reach: a user who may not enter the folder must not be told to
// create another database.
Result<void> check_exists(const fs::path& file) {
  std::error_code code;
  const fs::file_status status = fs::status(file, code);
  if (status.type() == fs::file_type::not_found) {
    return failure(
        fmt::format("there is no database {}; create one with 'carbonio-limits init', or set "
                    "ZEXTRAS_HOME if it is elsewhere",
                    file.string()));
  }
  if (code) {
    return failure(fmt::format("cannot open the database {}: {}", file.string(), code.message()));
  }
  if (fs::is_directory(status)) {
    return failure(fmt::format("{} is a folder, not a database", file.string()));
  }
  return {};
}

Result<void> fill(const fs::path& file, std::string_view table_prefix) {
  auto db = open_with(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, {});
  if (!db) return tl::unexpected{db.error()};
  sql::execute(db->get(), "PRAGMA page_size=1024; PRAGMA synchronous=NORMAL");
  sql::Transaction transaction{db->get()};
  auto done = transaction.begin_immediate();
  if (done) done = sql::execute_or_explain(db->get(), sql::with_prefix(kSchemaSql, table_prefix));
  if (done) done = add_ours(db->get(), table_prefix);
  if (done) done = transaction.commit();
  if (done) done = sql::execute_or_explain(db->get(), "PRAGMA journal_mode=WAL");
  return done;
}

}  // namespace

void configure_sqlite() {
  // Its statistics take a lock at each allocation, and answers would wait for a helper thread that
  // holds it while it is not running.
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

Result<sql::Handle> open_database(const fs::path& file, OpenMode mode,
                                  std::chrono::milliseconds busy_timeout) {
  if (auto exists = check_exists(file); !exists) return tl::unexpected{exists.error()};
  auto db =
      open_with(file, mode == OpenMode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE,
                busy_timeout, mode == OpenMode::serve ? wal_batch_vfs() : nullptr);
  if (!db) return db;
  {
    // The first read shows whether this is a database at all.
    auto probe = sql::Statement::prepare(db->get(), "SELECT count(*) FROM sqlite_master");
    if (!probe || probe->step() != SQLITE_ROW) {
      return failure(fmt::format("cannot read the database {}: {}", file.string(),
                                 sql::message_of(db->get())));
    }
  }
  // Far more than the default of 2 MB, so that most pages of the counters of 100,000 senders are in
  // memory: 1.03 of the speed of 8 MB (scripts/bench).
  if (mode == OpenMode::serve) {
    sql::execute(db->get(), "PRAGMA cache_spill=OFF; PRAGMA cache_size=-32000");
  }
  // synchronous=NORMAL: the log is synced when it restarts, and survives kill -9 in the kernel.
  sql::execute(db->get(), "PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0");
  return db;
}

Result<sql::Handle> connect_database(const fs::path& file) {
  auto db = open_with(file, SQLITE_OPEN_READWRITE, std::chrono::milliseconds{0});
  if (!db) return db;
  keep_log_on_close(db->get());
  sql::execute(db->get(), "PRAGMA wal_autocheckpoint=0");
  return db;
}

void keep_log_on_close(sqlite3* db) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

void remove_database(const fs::path& file) {
  std::error_code ignored;
  for (const char* tail : {"", "-wal", "-shm", "-journal"}) {
    fs::remove(fs::path{file} += tail, ignored);
  }
}

std::span<const char* const> rule_tables() { return kRuleTables; }

Result<bool> repair_schema(sqlite3* db, std::string_view table_prefix, std::int64_t version) {
  if (is_prepared(db, table_prefix)) return false;
  auto done = add_ours(db, table_prefix);
  if (done) {
    done = sql::execute_or_explain(
        db, fmt::format("UPDATE {}limits_rules_version SET Version = max(Version, {}) + 1",
                        table_prefix, version));
  }
  if (!done) return tl::unexpected{done.error()};
  return true;
}

Result<void> prepare_database(sqlite3* db, std::string_view table_prefix) {
  if (!is_write_ahead(db)) {
    auto wal = sql::execute_or_explain(db, "PRAGMA journal_mode=WAL");
    if (!wal) return wal;
  }
  if (is_prepared(db, table_prefix)) return {};
  sql::Transaction transaction{db};
  auto done = transaction.begin_immediate();
  if (done) done = add_ours(db, table_prefix);
  if (done) done = transaction.commit();
  return done;
}

Result<void> create_database(const fs::path& file, std::string_view table_prefix) {
  std::error_code code;
  if (fs::exists(file, code)) {
    // An empty file, as `touch` or opening it with sqlite3 leaves it, is not a database yet.
    if (fs::file_size(file, code) == 0 && !code) return fill(file, table_prefix);
    return failure(fmt::format("there is a database {} already", file.string()));
  }
  const fs::path folder = file.parent_path();
  if (!folder.empty() && !fs::is_directory(folder, code)) {
    return failure(fmt::format("cannot create the database {}: {}", file.string(),
                               code && code != std::errc::no_such_file_or_directory
                                   ? code.message()
                                   : fmt::format("there is no folder {}", folder.string())));
  }
  fs::path fresh = file;
  fresh += ".new";
  remove_database(fresh);
  auto done = fill(fresh, table_prefix);
  if (done) {
    // link(), not rename(): if two processes create one at once, the second must not replace the
    // first one's.
    fs::create_hard_link(fresh, file, code);
    if (code == std::errc::file_exists && fs::is_empty(file)) {
      done = fill(file, table_prefix);
    } else if (code) {
      done = tl::unexpected<Error>{Error{code.message()}};
    }
  }
  remove_database(fresh);
  if (done) return {};
  return failure(
      fmt::format("cannot create the database {}: {}", file.string(), done.error().message));
}

}  // namespace policyd
