// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/backup.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "daemon/sqlite/database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/restore.hpp"
#include "plugin/database/sqlite_copy.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
namespace sql = policyd::sql;

std::string quoted_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string{"\"\""} : std::string(1, c);
  return out + '"';
}

// False if it exists already.
Result<bool> create_file(const fs::path& path, mode_t mode) {
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC,
                        mode & (S_IRWXU | S_IRWXG | S_IRWXO));
  if (file >= 0) {
    close(file);
    return true;
  }
  if (errno == EEXIST) return false;
  return failure(fmt::format("cannot create the copy {}: {}", path.string(), std::strerror(errno)));
}

Result<mode_t> mode_of(const fs::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) == 0) return status.st_mode;
  return failure(fmt::format("cannot access {}: {}", file.string(), std::strerror(errno)));
}

// A new empty file next to `like` with the same permissions.
Result<fs::path> new_file_next_to(const fs::path& like, policyd::TimePoint now) {
  const auto mode = mode_of(like);
  if (!mode) return tl::unexpected{mode.error()};
  const std::time_t when = std::chrono::system_clock::to_time_t(now);
  const std::string stem =
      fmt::format("{}.{:%Y-%m-%d_%H-%M-%S}", like.string(), fmt::localtime(when));
  constexpr int kMaxPerSecond = 100;
  for (int attempt = 1; attempt <= kMaxPerSecond; ++attempt) {
    const fs::path path = attempt == 1 ? stem : fmt::format("{}-{}", stem, attempt);
    const auto created = create_file(path, *mode);
    if (!created) return tl::unexpected{created.error()};
    if (*created) return path;
  }
  return failure(fmt::format("too many copies {} exist already", stem));
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

// Uses a connection of its own: the caller's may hold the write lock to keep other writers out.
Result<void> fill_copy(const fs::path& database, const fs::path& path) {
  constexpr std::chrono::seconds kBusyTimeout{5};
  auto from = policyd::open_database(database, policyd::OpenMode::read_write, kBusyTimeout);
  auto copied = from ? copy_into(from->get(), path) : tl::unexpected{from.error()};
  if (copied) return copied;
  std::error_code ignored;  // an empty file is useless
  fs::remove(path, ignored);
  return failure(
      fmt::format("cannot create the copy {}: {}", path.string(), copied.error().message));
}

}  // namespace

Result<fs::path> copy_aside(const fs::path& database, policyd::TimePoint now) {
  auto path = new_file_next_to(database, now);
  if (!path) return path;
  auto filled = fill_copy(database, *path);
  if (!filled) return tl::unexpected{filled.error()};
  return path;
}

Result<void> copy_to(const fs::path& database, const fs::path& path) {
  const auto mode = mode_of(database);
  if (!mode) return tl::unexpected{mode.error()};
  const auto created = create_file(path, *mode);
  if (!created) {
    return failure(
        fmt::format("{}; user {}, who owns the database, writes the copy, so choose a folder that "
                    "this user can "
                    "write to, or omit the file name to create the copy next to the database",
                    created.error().message, user_name(geteuid())));
  }
  if (!*created)
    return failure(fmt::format("{} exists already; choose another file name", path.string()));
  return fill_copy(database, path);
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
