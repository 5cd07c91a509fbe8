// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the database as a file and as a database.
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "daemon/base/shell_words.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"
#include "hooks/system/users.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::sql::Statement;

constexpr std::chrono::seconds kBusyTimeout{2};
constexpr std::uint64_t kMinFreeBytes = std::uint64_t{100} << 20;

void check_owner(const DoctorQuestion& question, Findings& findings) {
  const std::string& user = question.daemon.config.user;
  const auto account = carbonio::find_user(user);
  const fs::path& file = question.daemon.config.database;
  struct stat folder {};
  if (::stat(file.parent_path().c_str(), &folder) != 0) return;
  const uid_t owner = account ? account->id : folder.st_uid;
  std::vector<std::string> foreign;
  for (const char* tail : {"", "-wal", "-shm", "-journal"}) {
    struct stat status {};
    const std::string path = file.string() + tail;
    if (::stat(path.c_str(), &status) == 0 && status.st_uid != owner) foreign.push_back(path);
  }
  if (account && folder.st_uid != owner) foreign.push_back(file.parent_path().string());
  if (foreign.empty()) return;
  const std::string name = account ? user : fmt::format("{}", owner);
  findings.wrong(problem::kOwner,
                 fmt::format("{} {} belong to user {}", join_with_and(foreign),
                             foreign.size() == 1 ? "does not" : "do not", name),
                 "the daemon runs as that user and cannot store its counters, so it counts in "
                 "memory only",
                 command(fmt::format("chown {} {}", name, policyd::shell_words(foreign))));
}

void check_space(const DoctorQuestion& question, Findings& findings) {
  struct statvfs space {};
  const fs::path folder = question.daemon.config.database.parent_path();
  if (::statvfs(folder.c_str(), &space) != 0) return;
  const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (free >= kMinFreeBytes) return;
  findings.wrong(
      problem::kSpace, fmt::format("only {} MiB free in {}", free >> 20, folder.string()),
      "on a full disk the daemon counts in memory only",
      advice(fmt::format("free space there (df -h {})", policyd::shell_word(folder.string()))));
}

// Files that the daemon set aside when it had to replace the database.
void check_replaced(const DoctorQuestion& question, Findings& findings) {
  const fs::path& file = question.daemon.config.database;
  const std::string beginning = file.filename().string() + ".damaged-";
  std::vector<std::string> kept;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator{file.parent_path(), code}) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(beginning)) kept.push_back(entry.path().string());
  }
  if (kept.empty()) return;
  std::sort(kept.begin(), kept.end());
  findings.wrong(
      problem::kReplaced,
      fmt::format("the database was damaged and has been replaced; the old files are "
                  "{}",
                  join_with_and(kept)),
      "limits and counters may be out of date; see the log",
      advice(fmt::format("check 'carbonio-limits list', then: rm {}", policyd::shell_words(kept))));
}

void check_writing(sqlite3* db, const DoctorQuestion& question, Findings& findings) {
  const std::string file = question.daemon.config.database.string();
  int code = policyd::sql::execute(db, "BEGIN IMMEDIATE");
  std::string why = policyd::sql::message_of(db);
  policyd::sql::execute(db, "ROLLBACK");
  // In write-ahead mode a transaction can begin all the same.
  if (code == SQLITE_OK && sqlite3_db_readonly(db, "main") == 1) {
    code = SQLITE_READONLY;
    why = "its file may not be written";
  }
  if (code == SQLITE_OK) {
    findings.well("database.writable", "the database is readable and writable");
  } else if ((code & 0xFF) == SQLITE_BUSY) {
    findings.wrong(problem::kLocked, "another program keeps the database locked",
                   "meanwhile the daemon counts in memory only, and changes to limits fail",
                   advice(fmt::format("end the sqlite3 or script that this shows: fuser -v {}",
                                      policyd::shell_word(file))));
  } else {
    findings.wrong(problem::kReadOnly, fmt::format("the database is not writable: {}", why),
                   "the daemon counts in memory only",
                   command(fmt::format("chmod u+w {}", policyd::shell_word(file))));
  }
}

void check_schema(sqlite3* db, const DoctorQuestion& question, Findings& findings) {
  const std::string& prefix = question.daemon.config.table_prefix;
  const std::string file = question.daemon.config.database.string();
  if (const auto known = policyd::check_is_policyd(db, prefix); !known) {
    findings.wrong(problem::kOtherTables, fmt::format("{}: {}", file, known.error().message),
                   "the daemon cannot read its rules, and mail is deferred or passes unlimited "
                   "(bypass_mode)",
                   advice(fmt::format("set DSN in {} to the right file, then: carbonio-limits "
                                      "service restart",
                                      question.daemon.file.string())));
    return;
  }
  const auto missing = policyd::missing_parts(db, prefix);
  if (missing && !missing->empty()) {
    findings.wrong(problem::kSchema,
                   fmt::format("the database is not complete: {} missing", join_with_and(*missing)),
                   "the daemon adds empty tables and columns for them when it opens the database",
                   command(kRestart));
    return;
  }
  findings.well("database.schema", "the database has all tables and columns");
  const auto version = Statement::prepare(
      db, policyd::sql::with_prefix("SELECT Version FROM {p}limits_rules_version", prefix));
  const auto state = Statement::prepare(
      db, policyd::sql::with_prefix("SELECT State FROM {p}quotas_tracking", prefix));
  const auto events =
      Statement::prepare(db, policyd::sql::with_prefix("SELECT ID FROM {p}limits_events", prefix));
  if (!version || !state || !events) {
    findings.wrong(problem::kNotTakenOver, "this daemon has not opened the database yet",
                   "until then limits are not exact, and changes to them are not noticed at once",
                   command(kRestart));
  }
}

void check_integrity(sqlite3* db, const DoctorQuestion& question, Findings& findings) {
  std::vector<std::string> problems;
  auto rows = Statement::prepare(db, "PRAGMA integrity_check(5)");
  int code = rows ? SQLITE_ROW : SQLITE_ERROR;
  while (rows && (code = rows->step()) == SQLITE_ROW) {
    if (rows->text(0) != "ok") problems.push_back(escaped(rows->text(0)));
  }
  if (code != SQLITE_DONE) problems.push_back(policyd::sql::message_of(db));
  if (problems.empty()) {
    findings.well("database.integrity", "the database passes SQLite's integrity check");
    return;
  }
  findings.wrong(
      problem::kDamaged, fmt::format("the database is damaged: {}", join_with_and(problems)),
      "counters or limits may be wrong, and the damage grows with every message",
      advice(fmt::format("carbonio-limits restore FILE with the latest copy, or salvage "
                         "it: sqlite3 {0} .recover | sqlite3 {0}.new",
                         policyd::shell_word(question.daemon.config.database.string()))));
}

// Neither `restore` nor `init --force` can open such a file either.
void find_unreadable(const fs::path& file, const std::string& message, Findings& findings) {
  const std::string name = policyd::shell_word(file.string());
  constexpr const char* kWhy =
      "the daemon cannot read its rules, and mail is deferred or passes unlimited (bypass_mode)";
  if (::access(file.c_str(), R_OK | W_OK) != 0) {
    findings.wrong(problem::kNotPermitted, message, kWhy,
                   command(fmt::format("chmod u+rw {}", name)));
    return;
  }
  findings.wrong(
      problem::kUnreadable, message, kWhy,
      advice(fmt::format(
          "if it is damaged, a running daemon replaces it by its backup, and so does a starting "
          "one: carbonio-limits service start; without a backup: mv {0} {0}.damaged && rm -f "
          "{0}-wal "
          "{0}-shm && carbonio-limits init, and then, with a copy of yours: carbonio-limits "
          "restore COPY",
          name)));
}

}  // namespace

policyd::sql::Handle check_database(const DoctorQuestion& question, Findings& findings) {
  const fs::path& file = question.daemon.config.database;
  std::error_code code;
  if (fs::status(file, code).type() == fs::file_type::not_found) {
    findings.wrong(problem::kNoDatabase, fmt::format("database {} does not exist", file.string()),
                   "without it there are no limits", command("carbonio-limits init"));
    return nullptr;
  }
  check_owner(question, findings);
  check_space(question, findings);
  check_replaced(question, findings);
  auto db = policyd::open_database(file, policyd::OpenMode::read_write, kBusyTimeout);
  if (!db) {
    find_unreadable(file, db.error().message, findings);
    return nullptr;
  }
  findings.well("database.exists", fmt::format("the database is {}", file.string()));
  check_writing(db->get(), question, findings);
  check_schema(db->get(), question, findings);
  check_references(question, Tables{db->get(), question.daemon.config.table_prefix}, findings);
  check_integrity(db->get(), question, findings);
  return std::move(*db);
}

}  // namespace limits
