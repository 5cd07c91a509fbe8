// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/restore.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "daemon/events/event_rows.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"
#include "daemon/sqlite/read_only.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/backup.hpp"

// Everything is prepared in a copy; the live database changes in one commit, or not at all.
namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
namespace sql = policyd::sql;

// Above both versions, by more than others can add in the moment before the commit.
constexpr std::int64_t kVersionStep = 1'000'000;

// 0 if there is none.
Result<std::int64_t> rules_version(const Tables& tables) {
  if (!tables.has_table("limits_rules_version")) return 0;
  std::int64_t version = 0;
  const auto done = tables.each("SELECT max(Version) FROM {p}limits_rules_version", {},
                                [&](const sql::Statement& row) { version = row.integer(0); });
  if (!done) return tl::unexpected{done.error()};
  return version;
}

std::string quoted_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string{"\"\""} : std::string(1, c);
  return out + '"';
}

struct Object {
  std::string type;
  std::string name;
  std::string table;
  std::string sql;
};

Result<std::vector<Object>> objects_of_fresh(const Tables& tables) {
  std::vector<Object> out;
  const auto done = tables.each(
      "SELECT type, name, tbl_name, sql FROM fresh.sqlite_master "
      "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
      {}, [&](const sql::Statement& row) {
        out.push_back(Object{std::string{row.text(0)}, std::string{row.text(1)},
                             std::string{row.text(2)}, std::string{row.text(3)}});
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<std::string> answer(sqlite3* db, const char* question) {
  auto rows = sql::Statement::prepare(db, question);
  if (!rows) return tl::unexpected{rows.error()};
  if (rows->step() != SQLITE_ROW) return failure(sql::message_of(db));
  return std::string{rows->text(0)};
}

Result<void> check(const Tables& copy) {
  const auto verdict = answer(copy.db, "PRAGMA quick_check(1)");
  if (!verdict) return tl::unexpected{verdict.error()};
  if (*verdict != "ok") return failure(fmt::format("it is damaged: {}", *verdict));
  return policyd::check_is_policyd(copy.db, copy.prefix);
}

// Prepares the copy for the live database: our tables, the version, pages of the same size.
Result<void> prepare(const Tables& copy, const Tables& live, const policyd::Actor& by) {
  auto done = check(copy);
  if (done) done = policyd::prepare_database(copy.db, copy.prefix);
  if (!done) return done;
  const auto here = rules_version(copy);
  if (!here) return tl::unexpected{here.error()};
  const auto there = rules_version(live);
  if (!there) return tl::unexpected{there.error()};
  const std::int64_t version = std::max(*here, *there) + kVersionStep;
  done = sql::execute_or_explain(
      copy.db,
      sql::with_prefix(fmt::format("UPDATE {{p}}limits_rules_version SET Version = {}", version),
                       copy.prefix));
  if (!done) return done;
  policyd::Event event = policyd::rules_event(0, version, policyd::wall_clock());
  event.who = by.who;
  event.detail = by.what;
  policyd::announce(copy.db, copy.prefix, event);
  const auto size = answer(live.db, "PRAGMA page_size");
  if (!size) return tl::unexpected{size.error()};
  const auto own_size = answer(copy.db, "PRAGMA page_size");
  if (!own_size) return tl::unexpected{own_size.error()};
  done = sql::execute_or_explain(copy.db, "PRAGMA journal_mode = DELETE");
  if (!done || *size == *own_size) return done;
  return sql::execute_or_explain(copy.db, fmt::format("PRAGMA page_size = {}; VACUUM", *size));
}

// What has happened since the backup has happened all the same.
Result<void> keep_events(const Tables& copy, const Tables& live, const fs::path& database) {
  if (!live.has_table("limits_events")) return {};
  auto attach = sql::Statement::prepare(copy.db, "ATTACH ? AS live");
  if (!attach) return tl::unexpected{attach.error()};
  const std::string path = database.string();
  if (attach->bind(1, std::string_view{path}).run() != SQLITE_DONE) {
    return failure(sql::message_of(copy.db));
  }
  constexpr std::string_view kColumns =
      "Minute, Kind, Module, RowID, TrackKey, Verdict, FirstSeen, LastSeen, Times, Client, Login, "
      "Sender, Recipient, Used, CounterLimit, FreeAt, Who, Detail";
  const std::string table = copy.prefix + "limits_events";
  return sql::execute_or_explain(
      copy.db, fmt::format("INSERT OR REPLACE INTO main.{0} ({1}) SELECT {1} FROM live.{0} "
                           "ORDER BY ID; DETACH live",
                           table, kColumns));
}

// Checked as the owner of the database, which this process is by now.
Result<void> check_readable(const fs::path& backup) {
  std::error_code code;
  const fs::file_status status = fs::status(backup, code);
  if (status.type() == fs::file_type::not_found) {
    return failure(fmt::format(
        "there is no file {}; give a copy created by 'carbonio-limits backup'", backup.string()));
  }
  if (fs::is_directory(status)) {
    return failure(fmt::format("{} is a folder; give the copy in it", backup.string()));
  }
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    return failure(
        fmt::format("{} is not a regular file; give a copy created by 'carbonio-limits "
                    "backup'",
                    backup.string()));
  }
  if (access(backup.c_str(), R_OK) == 0) return {};
  return failure(
      fmt::format("cannot read {}: {}; user {}, who owns the database, must be able to read it "
                  "and to enter its folder",
                  backup.string(), std::strerror(errno), user_name(geteuid())));
}

}  // namespace

Result<void> restore_from(const fs::path& backup, const fs::path& database, const Tables& live,
                          const policyd::Actor& by,
                          const std::function<Result<void>(const Tables& restored)>& complete) {
  std::error_code code;
  if (fs::equivalent(backup, database, code)) {
    return failure(fmt::format("{} is the database itself", backup.string()));
  }
  if (auto readable = check_readable(backup); !readable) return readable;
  const TemporaryDatabase temporary{database, "restore"};
  {
    auto from = policyd::open_database(backup, policyd::OpenMode::read_only, {});
    if (!from) {
      auto unwritable = policyd::open_unwritable(backup, {});
      if (!unwritable) return failure(from.error().message);
      from = std::move(unwritable);
    }
    if (auto copied = copy_into(from->get(), temporary.file()); !copied) {
      return failure(fmt::format("cannot copy {}: {}", backup.string(), copied.error().message));
    }
  }
  const auto copy = open_plain(temporary.file());
  if (!copy) return tl::unexpected{copy.error()};
  const Tables prepared{copy->get(), live.prefix};
  auto done = prepare(prepared, live, by);
  if (done) done = keep_events(prepared, live, database);
  if (done) done = complete(prepared);
  if (!done) return failure(fmt::format("{}: {}", backup.string(), done.error().message));
  return copy_all(copy->get(), live.db);
}

Result<void> replace_tables(const Tables& tables) {
  const auto objects = objects_of_fresh(tables);
  if (!objects) return tl::unexpected{objects.error()};
  const auto version = rules_version(tables);
  if (!version) return tl::unexpected{version.error()};

  const auto run = [&](const std::string& text) -> Result<void> {
    if (const int code = sql::execute(tables.db, text.c_str()); code != SQLITE_OK) {
      return tl::unexpected{tables.error(code)};
    }
    return {};
  };
  Result<void> done;
  for (const Object& object : *objects) {
    if (object.type != "table") continue;
    done = run(fmt::format("DROP TABLE IF EXISTS main.{}", quoted_identifier(object.name)));
    if (done) done = run(object.sql);
    if (done) {
      done = run(fmt::format("INSERT INTO main.{0} SELECT * FROM fresh.{0}",
                             quoted_identifier(object.name)));
    }
    if (!done) return done;
  }
  // The next IDs are those of a new database, too.
  done =
      run("DELETE FROM main.sqlite_sequence WHERE name IN (SELECT name FROM fresh.sqlite_master);"
          "INSERT INTO main.sqlite_sequence SELECT * FROM fresh.sqlite_sequence");
  if (!done) return done;
  // After the rows, so that the triggers do not fire for them.
  for (const Object& object : *objects) {
    if (object.type == "table") continue;
    done = run(object.sql);
    if (!done) return done;
  }
  return run(sql::with_prefix(
      fmt::format("UPDATE {{p}}limits_rules_version SET Version = max(Version, {})", *version + 1),
      tables.prefix));
}

}  // namespace limits
