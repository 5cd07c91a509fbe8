// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/database_copy.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "daemon/base/unique_fd.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/store/recovery/integrity_check.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

// With pages of 1 KiB a few milliseconds.
constexpr int kPagesAStep = 1024;
constexpr mode_t kModeBits = 0777;

struct FinishBackup {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

Result<void> copy_pages(sqlite3* from, const char* schema, sqlite3* to,
                        std::chrono::milliseconds pause, const std::atomic<bool>& stop) {
  const std::unique_ptr<sqlite3_backup, FinishBackup> backup{
      sqlite3_backup_init(to, "main", from, schema)};
  if (!backup) return failure(sql::message_of(to));
  while (!stop) {
    const int code = sqlite3_backup_step(backup.get(), kPagesAStep);
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_OK) return failure(sqlite3_errstr(code));
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  return failure("interrupted");
}

Result<void> copy_moment(sqlite3* from, const char* schema, const fs::path& to,
                         std::chrono::milliseconds pause, const std::atomic<bool>& stop) {
  auto db = connect_database(to);
  if (!db) return tl::unexpected{db.error()};
  // A snapshot of the source: without it each commit of another connection would restart the copy.
  auto done = sql::execute_or_explain(
      from, fmt::format("BEGIN; SELECT count(*) FROM {}.sqlite_master", schema));
  if (done) done = copy_pages(from, schema, db->get(), pause, stop);
  if (sqlite3_get_autocommit(from) == 0) sql::execute(from, "ROLLBACK");
  if (done) done = sql::execute_or_explain(db->get(), "PRAGMA journal_mode=DELETE");
  if (!done) return done;
  const Soundness found = check_soundness(db->get(), {}, Care::thorough);
  if (found.state != Soundness::State::sound) return failure(found.what);
  return {};
}

}  // namespace

FileAccess FileAccess::of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return {status.st_uid, status.st_gid, status.st_mode & kModeBits};
}

Result<void> create_empty(const fs::path& file, const FileAccess& access) {
  remove_database(file);
  // At least we can write it: a read-only database stays so for others only.
  const UniqueFd fd{::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600)};
  if (!fd) return failure(fmt::format("cannot create {}: {}", file.string(), std::strerror(errno)));
  const bool ours = access.owner == ::geteuid() && access.group == ::getegid();
  // Only root may change the owner; otherwise the file is ours, as the database was.
  if (!ours && ::geteuid() == 0 && ::fchown(fd.get(), access.owner, access.group) != 0) {
    return failure(
        fmt::format("cannot set the owner of {}: {}", file.string(), std::strerror(errno)));
  }
  if (::fchmod(fd.get(), access.mode | S_IRUSR | S_IWUSR) != 0) {
    return failure(
        fmt::format("cannot set the mode of {}: {}", file.string(), std::strerror(errno)));
  }
  return {};
}

Result<void> copy_database(sqlite3* from, const char* schema, const fs::path& to,
                           const FileAccess& access, std::chrono::milliseconds pause,
                           const std::atomic<bool>& stop) {
  auto done = create_empty(to, access);
  if (!done) return done;
  done = copy_moment(from, schema, to, pause, stop);
  if (done) return done;
  remove_database(to);
  return failure(fmt::format("cannot copy to {}: {}", to.string(), done.error().message));
}

}  // namespace policyd
