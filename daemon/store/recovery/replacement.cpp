// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/replacement.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <chrono>
#include <system_error>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"
#include "daemon/store/recovery/integrity_check.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;
using Kind = FileFinding::Kind;

constexpr std::chrono::milliseconds kNoPause{0};

// An unused name beside the database: "cbpolicyd.sqlitedb.damaged-2026-11-24_12-00-00".
fs::path name_aside(const fs::path& database, std::string_view why) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string stem =
      fmt::format("{}.{}-{:%Y-%m-%d_%H-%M-%S}", database.string(), why, fmt::localtime(now));
  std::error_code code;
  fs::path name = stem;
  for (int more = 2; fs::exists(name, code); ++more) name = fmt::format("{}-{}", stem, more);
  return name;
}

fs::path with_tail(const fs::path& file, const char* tail) { return fs::path{file} += tail; }

Result<void> rename_if_exists(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (!code || code == std::errc::no_such_file_or_directory) return {};
  return failure(
      fmt::format("cannot rename {} to {}: {}", from.string(), to.string(), code.message()));
}

// Renames the file together with its log. The log's index is useless without both.
Result<void> set_aside(const fs::path& database, const fs::path& name) {
  auto done = rename_if_exists(with_tail(database, "-wal"), with_tail(name, "-wal"));
  if (done) done = rename_if_exists(database, name);
  std::error_code ignored;
  fs::remove(with_tail(database, "-shm"), ignored);
  return done;
}

// SQLite would replay the log of the file that was open into the one that has its name now.
void remove_log_of(const DatabaseIds& ids, const fs::path& database) {
  const fs::path log = with_tail(database, "-wal");
  const fs::path index = with_tail(database, "-shm");
  std::error_code ignored;
  if (ids.log && FileId::of(log) == ids.log) fs::remove(log, ignored);
  if (ids.index && FileId::of(index) == ids.index) fs::remove(index, ignored);
}

Result<void> check_sound(const fs::path& file, std::string_view table_prefix) {
  auto db = connect_database(file);
  if (!db) return tl::unexpected{db.error()};
  const Soundness found = check_soundness(db->get(), table_prefix, Care::thorough);
  if (found.state != Soundness::State::sound) return failure(found.what);
  return check_is_policyd(db->get(), table_prefix);
}

Result<void> copy_backup(const fs::path& database, const fs::path& to, const FileAccess& access) {
  const std::atomic<bool> never{false};
  const fs::path backup = backup_of(database);
  auto from = open_database(backup, OpenMode::read_only, std::chrono::seconds{1});
  if (!from) return tl::unexpected{from.error()};
  return copy_database(from->get(), "main", to, access, kNoPause, never);
}

class Replacing {
 public:
  // `name` may be a link to the file.
  Replacing(const fs::path& name, std::string table_prefix, const FileAccess& access,
            LiveCopy& live, const std::atomic<bool>& stop)
      : database_(real_path(name)),
        name_(name),
        candidate_(with_tail(database_, ".new")),
        table_prefix_(std::move(table_prefix)),
        access_(access),
        live_(live),
        stop_(stop) {}

  Result<Replacement> run(Kind lost, const DatabaseIds& ids) {
    // A file that is still open here, without its name, has everything.
    const bool complete =
        lost != Kind::damaged && live_.copy(candidate_, access_, kNoPause, stop_).has_value();
    if (complete || lost == Kind::other) {
      remove_log_of(ids, database_);
      remove_log_of(ids, name_);  // a file that was moved behind a link left it there
    }
    if (lost == Kind::other && check_sound(database_, table_prefix_)) return take(complete);
    if (stop_) return failure("interrupted");
    std::string what;
    if (complete) {
      what = "a complete copy of the open file";
    } else if (auto made = make_from_backup(what); !made) {
      remove_database(candidate_);
      return tl::unexpected{made.error()};
    }
    std::string kept;
    if (auto placed = put_in_place(kept); !placed) return tl::unexpected{placed.error()};
    live_.detach();
    return Replacement{false, fmt::format("replaced by {}{}", what, kept)};
  }

 private:
  Result<Replacement> take(bool complete) {
    live_.detach();
    std::string what = "the new file is a sound database and was adopted";
    const fs::path previous = name_aside(database_, "replaced");
    if (complete && rename_if_exists(candidate_, previous)) {
      what += fmt::format("; the previous one is kept as {}", previous.string());
    }
    return Replacement{true, std::move(what)};
  }

  Result<void> make_from_backup(std::string& what) {
    std::error_code code;
    auto copied = copy_backup(name_, candidate_, access_);
    if (copied) {
      what = fmt::format("the backup {}", backup_of(name_).string());
    } else {
      remove_database(candidate_);
      if (auto made = make_fresh(); !made) return made;
      what = "a fresh database, because there is no sound backup";
    }
    if (live_.has_rules()) {
      const auto put = live_.put_rules(candidate_);
      what += put ? ", with the latest rules" : ", with its own rules: " + put.error().message;
    }
    what += "; counters in memory overwrite its own";
    return {};
  }

  // Without a log, which would have to be renamed too.
  Result<void> make_fresh() {
    if (auto made = create_database(candidate_, table_prefix_); !made) return made;
    std::error_code ignored;
    fs::permissions(candidate_, static_cast<fs::perms>(access_.mode), ignored);
    auto db = connect_database(candidate_);
    if (!db) return tl::unexpected{db.error()};
    return sql::execute_or_explain(db->get(), "PRAGMA journal_mode=DELETE");
  }

  Result<void> put_in_place(std::string& kept) {
    std::error_code code;
    const bool empty = fs::exists(database_, code) && fs::file_size(database_, code) == 0;
    const fs::path aside = name_aside(database_, "damaged");
    const bool had_log = fs::exists(with_tail(database_, "-wal"), code) &&
                         fs::file_size(with_tail(database_, "-wal"), code) > 0;
    const bool anything = fs::exists(database_, code) || had_log;
    auto done = set_aside(database_, aside);
    if (done) done = rename_if_exists(candidate_, database_);
    if (!done) return done;
    if (anything && !(empty && !had_log)) {
      kept = fmt::format("; the damaged files are kept as {}", aside.string());
    } else {
      remove_database(aside);
    }
    return {};
  }

  fs::path database_;
  const fs::path& name_;
  fs::path candidate_;
  std::string table_prefix_;
  const FileAccess& access_;
  LiveCopy& live_;
  const std::atomic<bool>& stop_;
};

}  // namespace

fs::path backup_of(const fs::path& database) { return with_tail(database, ".backup"); }

Result<Replacement> replace_database(const fs::path& database, const std::string& table_prefix,
                                     FileFinding::Kind lost, const DatabaseIds& ids,
                                     const FileAccess& access, LiveCopy& live,
                                     const std::atomic<bool>& stop) {
  return Replacing{database, table_prefix, access, live, stop}.run(lost, ids);
}

Result<Replacement> replace_damaged_by_backup(const fs::path& database) {
  {
    auto db = connect_database(database);
    if (!db) return tl::unexpected{db.error()};
    const Soundness found = check_soundness(db->get(), {}, Care::thorough);
    if (found.state != Soundness::State::damaged) return failure("the database is not damaged");
  }
  const fs::path real = real_path(database);
  const fs::path candidate = with_tail(real, ".new");
  const fs::path aside = name_aside(real, "damaged");
  auto done = copy_backup(database, candidate, FileAccess::of(database));
  if (done) done = set_aside(real, aside);
  if (done) done = rename_if_exists(candidate, real);
  if (!done) return tl::unexpected{done.error()};
  return Replacement{false,
                     fmt::format("replaced by the backup {}, with its rules and counters; the "
                                 "damaged files are kept as {}",
                                 backup_of(database).string(), aside.string())};
}

}  // namespace policyd
