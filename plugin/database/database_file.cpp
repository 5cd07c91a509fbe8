// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/database_file.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "daemon/sqlite/database.hpp"
#include "daemon/status/status.hpp"
#include "daemon/store/recovery/file_ids.hpp"
#include "plugin/database/as_owner.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBusyTimeout{5};

// Which of the folders and files that SQLite needs is not accessible to this user, who owns the
// database, and how to fix that; empty if all are accessible.
std::string advice_on_owner(const fs::path& database) {
  const fs::path file = fs::absolute(database);
  const auto refused = [](const fs::path& path, int use) {
    return access(path.c_str(), use) != 0 && errno == EACCES;
  };
  const auto advise = [](const fs::path& path, std::string_view use, std::string_view fix) {
    struct stat status {};
    const bool known = stat(path.c_str(), &status) == 0;
    const std::string user = user_name(geteuid());
    return fmt::format("; user {}, who owns it, cannot {} {}{}; to fix it: {} {}", user, use,
                       path.string(),
                       known ? ", which belongs to user " + user_name(status.st_uid) : "",
                       fix.empty() ? "chown " + user : std::string{fix}, path.string());
  };
  fs::path above;
  for (const fs::path& part : file.parent_path().parent_path()) {
    above /= part;
    if (refused(above, X_OK)) return advise(above, "enter", "chmod o+x");
  }
  if (refused(file.parent_path(), X_OK)) return advise(file.parent_path(), "enter", {});
  if (refused(file.parent_path(), W_OK)) return advise(file.parent_path(), "write to", {});
  for (const char* tail : {"", "-wal", "-shm"}) {
    const fs::path each = file.string() + tail;
    if (refused(each, R_OK | W_OK)) return advise(each, "write", tail[0] == 0 ? "chmod u+rw" : "");
  }
  return {};
}

// What to do if opening failed although the file exists.
std::string advice(const DaemonConfig& daemon, const std::string& message) {
  const auto contains = [&](std::string_view words) {
    return message.find(words) != std::string::npos;
  };
  if (contains("locked")) return "; stop the program that has locked it and try again";
  if (contains("not a database") && !daemon.configured) return "; check the file name";
  if (daemon.configured && (contains("not a database") || contains("malformed"))) {
    return "; a running daemon replaces it automatically, a starting one restores its backup, and "
           "'carbonio-limits restore FILE' restores a copy; if none of these is possible, move the "
           "file away and create a new one with 'carbonio-limits init'";
  }
  if (contains("unable to open") || contains("readonly") || contains("denied")) {
    return advice_on_owner(daemon.config.database);
  }
  return {};
}

// Whether the daemon has the database open that the name now leads to. Two programs that write to
// one file with a log each would damage it, as after `mv FILE OTHER; ln -s OTHER FILE`. The daemon
// notices that within a second or two and opens the right one.
Result<void> check_same_file(const DaemonConfig& daemon) {
  if (!daemon.read || !daemon.configured) return {};
  const fs::path file = policyd::status_file_of(daemon.config.pid_file);
  for (int tries = 50;; --tries) {
    const auto status = policyd::read_status(file);
    if (!status || !*status || (*status)->open_log.empty()) return {};
    const auto log = policyd::FileId::of(policyd::real_path(daemon.config.database) += "-wal");
    if (log && log->to_string() == (*status)->open_log) return {};
    if (tries == 0) break;
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
  return policyd::failure(fmt::format(
      "the daemon has another file open than {}: it was moved or replaced; to open this "
      "one: carbonio-limits service restart",
      daemon.config.database.string()));
}

}  // namespace

DaemonConfig find_daemon_config(const std::optional<std::string>& given_database,
                                const std::filesystem::path& zextras_home) {
  DaemonConfig out;
  out.file = zextras_home / "conf" / "cbpolicyd.conf";
  auto loaded = policyd::load_config(out.file);
  out.read = loaded.has_value();
  if (loaded) {
    out.config = std::move(loaded->config);
    out.warnings = std::move(loaded->warnings);
  } else {
    out.why_not = loaded.error().message;
    out.config.quotas = true;
  }
  if (out.config.database.empty()) {
    out.config.database = zextras_home / "data" / "cbpolicyd" / "db" / "cbpolicyd.sqlitedb";
  }
  if (given_database) {
    std::error_code ignored;
    out.configured = *given_database == out.config.database ||
                     std::filesystem::equivalent(*given_database, out.config.database, ignored);
    out.config.database = *given_database;
  }
  return out;
}

std::string why_not_with_advice(const DaemonConfig& daemon) {
  std::error_code code;
  const bool absent = fs::status(daemon.file, code).type() == fs::file_type::not_found;
  return absent ? daemon.why_not + "; 'carbonio-limits enable' creates it" : daemon.why_not;
}

Result<DaemonConfig> find_database(const std::optional<std::string>& given_database,
                                   const fs::path& zextras_home) {
  DaemonConfig daemon = find_daemon_config(given_database, zextras_home);
  const bool unreadable = !daemon.read && access(daemon.file.c_str(), R_OK) == 0;
  if (unreadable && !given_database) return policyd::failure(daemon.why_not);
  return daemon;
}

Result<void> make_database(const DaemonConfig& daemon) {
  const fs::path folder = fs::absolute(daemon.config.database).parent_path();
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    return policyd::failure(
        fmt::format("cannot create the folder {}: {}; create it, or choose another file with "
                    "--database",
                    folder.string(), code.message()));
  }
  return policyd::create_database(daemon.config.database, daemon.config.table_prefix);
}

Result<OpenDatabase> open_as_owner(const DaemonConfig& daemon) {
  if (auto same = check_same_file(daemon); !same) return tl::unexpected{same.error()};
  if (auto became = become_owner_of(daemon.config.database); !became)
    return tl::unexpected{became.error()};
  // Read and write even for reading: the last connection to close cleans up the write-ahead log.
  auto handle =
      policyd::open_database(daemon.config.database, policyd::OpenMode::read_write, kBusyTimeout);
  if (!handle) {
    const std::string& message = handle.error().message;
    return policyd::failure(fmt::format("{}{}", message, advice(daemon, message)));
  }
  OpenDatabase out;
  out.tables = Tables{handle->get(), daemon.config.table_prefix};
  out.handle = std::move(*handle);
  return out;
}

}  // namespace limits
