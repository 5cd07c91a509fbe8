// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/database_file.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "daemon/config/config.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/status/status.hpp"
#include "plugin/database/as_owner.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBusyTimeout{5};

// The first of the folders and files that SQLite needs and this user, who owns the database, may
// not use, and how to give it to him; empty where there is none.
std::string advice_on_owner(const fs::path& database) {
  const fs::path file = fs::absolute(database);
  const auto refused = [](const fs::path& path, int use) {
    return access(path.c_str(), use) != 0 && errno == EACCES;
  };
  const auto say = [](const fs::path& path, std::string_view use, std::string_view mend) {
    struct stat status {};
    const bool known = stat(path.c_str(), &status) == 0;
    const std::string user = user_name(geteuid());
    return fmt::format("; user {}, who owns it, may not {} {}{}: {} {}", user, use, path.string(),
                       known ? ", which belongs to user " + user_name(status.st_uid) : "",
                       mend.empty() ? "chown " + user : std::string{mend}, path.string());
  };
  fs::path above;
  for (const fs::path& part : file.parent_path().parent_path()) {
    above /= part;
    if (refused(above, X_OK)) return say(above, "enter", "chmod o+x");
  }
  if (refused(file.parent_path(), X_OK)) return say(file.parent_path(), "enter", {});
  if (refused(file.parent_path(), W_OK)) return say(file.parent_path(), "write to", {});
  for (const char* tail : {"", "-wal", "-shm"}) {
    const fs::path each = file.string() + tail;
    if (refused(each, R_OK | W_OK)) return say(each, "write", tail[0] == 0 ? "chmod u+rw" : "");
  }
  return {};
}

// What to do, where opening failed for another reason than that there is no file.
std::string advice(const DatabasePlace& place, const std::string& message) {
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string::npos;
  };
  if (says("locked")) return "; end the program that has locked it and try again";
  if (says("not a database") && !place.configured) return "; is the name right?";
  if (place.configured && (says("not a database") || says("malformed"))) {
    return "; a daemon that runs puts another in its place by itself, one that is started the "
           "backup, and 'carbonio-limits restore FILE' takes back a copy; without any of these "
           "move the file away and make a fresh one with 'carbonio-limits init'";
  }
  if (says("unable to open") || says("readonly") || says("denied")) {
    return advice_on_owner(place.file);
  }
  return {};
}

}  // namespace

Result<DatabasePlace> find_database(const std::optional<std::string>& given,
                                    const fs::path& zextras_home) {
  DatabasePlace place;
  place.status_file = policyd::status_file_of(policyd::Config{}.pid_file);
  const fs::path config_file = zextras_home / "conf" / "cbpolicyd.conf";
  if (access(config_file.c_str(), R_OK) == 0) {
    auto loaded = policyd::load_config(config_file);
    if (!loaded && !given) return tl::unexpected{loaded.error()};
    if (loaded) {
      place.file = loaded->config.database;
      place.status_file = policyd::status_file_of(loaded->config.pid_file);
      place.table_prefix = loaded->config.table_prefix;
      place.decay = loaded->config.quotas_algorithm == policyd::Algorithm::decay;
    }
  }
  if (place.file.empty()) {
    place.file = zextras_home / "data" / "cbpolicyd" / "db" / "cbpolicyd.sqlitedb";
  }
  if (given) {
    std::error_code code;
    place.configured = *given == place.file || fs::equivalent(*given, place.file, code);
    place.file = *given;
  }
  return place;
}

Result<void> make_database(const DatabasePlace& place) {
  const fs::path folder = fs::absolute(place.file).parent_path();
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    return policyd::failure(
        fmt::format("cannot make the folder {}: {}; make it, or name another "
                    "file with --database",
                    folder.string(), code.message()));
  }
  return policyd::create_database(place.file, place.table_prefix);
}

Result<OpenDatabase> open_as_owner(const DatabasePlace& place) {
  if (auto became = become_owner_of(place.file); !became) return tl::unexpected{became.error()};
  // Read and write even for reading: the last connection that closes tidies up the log.
  auto handle = policyd::open_database(place.file, policyd::OpenMode::read_write, kBusyTimeout);
  if (!handle) {
    const std::string& message = handle.error().message;
    return policyd::failure(fmt::format("{}{}", message, advice(place, message)));
  }
  OpenDatabase out;
  out.tables = Tables{handle->get(), place.table_prefix};
  out.handle = std::move(*handle);
  return out;
}

}  // namespace limits
