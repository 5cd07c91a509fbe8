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

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
namespace sql = policyd::sql;

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

Result<void> copy_all(sqlite3* from, sqlite3* to) {
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup == nullptr) return failure(sql::message_of(to));
  constexpr int kAllPages = -1;
  const int stepped = sqlite3_backup_step(backup, kAllPages);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return tl::unexpected{Tables{to, {}}.error(stepped)};
  if (finished != SQLITE_OK) return tl::unexpected{Tables{to, {}}.error(finished)};
  return {};
}

Result<sql::Handle> open_plain(const fs::path& path) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  sql::Handle handle{raw};
  if (opened != SQLITE_OK) return failure(sql::message_of(raw));
  return handle;
}

Result<void> copy_into(sqlite3* from, const fs::path& path) {
  auto to = open_plain(path);
  if (!to) return tl::unexpected{to.error()};
  auto copied = copy_all(from, to->get());
  if (!copied) return copied;
  return sql::execute_or_explain(to->get(), "PRAGMA journal_mode = DELETE");
}

}  // namespace limits
