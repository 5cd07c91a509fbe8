// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/read_only.hpp"

#include <fmt/core.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "daemon/base/shell_words.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::array kLogs = {"-wal", "-journal"};

// A name as in an URI of SQLite: https://sqlite.org/uri.html
std::string escaped_name(const fs::path& file) {
  std::string out;
  for (const char c : file.native()) {
    out += c == '%' || c == '?' || c == '#' ? fmt::format("%{:02X}", c) : std::string(1, c);
  }
  return out;
}

struct Opened {
  sql::Handle db;
  int code = SQLITE_OK;
  std::string message;
};

// With a first read: opening alone does not show whether SQLite would have to create files.
Opened open_and_read(const std::string& name, int flags, std::chrono::milliseconds busy_timeout) {
  sqlite3* raw = nullptr;
  int code = sqlite3_open_v2(name.c_str(), &raw,
                             flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  sql::Handle db{raw};
  if (code == SQLITE_OK) {
    sqlite3_busy_timeout(raw, static_cast<int>(busy_timeout.count()));
    code = sql::execute(raw, "SELECT count(*) FROM sqlite_master");
  }
  return {std::move(db), code, sql::message_of(raw)};
}

bool has_content(const fs::path& file) {
  std::error_code code;
  return fs::exists(file, code) && fs::file_size(file, code) > 0 && !code;
}

bool has_log(const fs::path& file) {
  return std::any_of(kLogs.begin(), kLogs.end(),
                     [&](const char* tail) { return has_content(fs::path{file} += tail); });
}

// In a folder that only we can enter, and that is gone before anything else is read.
Opened open_copy(const fs::path& file) {
  std::error_code code;
  std::string folder = (fs::temp_directory_path(code) / "cbpolicyd-XXXXXX").string();
  if (code || ::mkdtemp(folder.data()) == nullptr) {
    return {nullptr, SQLITE_CANTOPEN,
            fmt::format("no copy in {}: {}", folder, std::strerror(errno))};
  }
  const fs::path copy = fs::path{folder} / "copy";
  fs::copy_file(file, copy, code);
  for (const char* tail : kLogs) {
    const fs::path log = fs::path{file} += tail;
    if (!code && has_content(log)) fs::copy_file(log, fs::path{copy} += tail, code);
  }
  auto opened = code ? Opened{nullptr, SQLITE_CANTOPEN, "no copy: " + code.message()}
                     : open_and_read(copy.string(), SQLITE_OPEN_READWRITE, {});
  fs::remove_all(folder, code);
  return opened;
}

std::string user_name(uid_t id) {
  const passwd* user = ::getpwuid(id);
  return user == nullptr ? std::to_string(id) : user->pw_name;
}

bool would_write(int code) {
  const int kind = code & 0xFF;
  return kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY;
}

}  // namespace

Result<sql::Handle> open_unwritable(const fs::path& file, std::chrono::milliseconds busy_timeout) {
  std::error_code code;
  if (fs::exists(file, code) && !fs::is_regular_file(file, code)) {
    return failure(fmt::format("{} is not a regular file", file.string()));
  }
  Opened opened = open_and_read(file.string(), SQLITE_OPEN_READONLY, busy_timeout);
  if (would_write(opened.code) && has_content(file)) {
    opened = has_log(file) ? open_copy(file)
                           : open_and_read(fmt::format("file:{}?immutable=1", escaped_name(file)),
                                           SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, {});
  }
  if (opened.code == SQLITE_OK) return std::move(opened.db);
  return failure(fmt::format("cannot read the database {}: {}", file.string(), opened.message));
}

std::string why_unwritable(const fs::path& file) {
  const std::string user = user_name(::geteuid());
  for (const fs::path& path : {file, file.parent_path()}) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), W_OK) == 0) continue;
    if (errno == EROFS) return fmt::format("; {} is on a read-only disk", path.string());
    if (errno != EACCES) continue;
    if (status.st_uid == ::geteuid()) {
      return fmt::format("; user {} may not write it, to fix: chmod u+w {}", user,
                         shell_word(path.string()));
    }
    return fmt::format("; {} belongs to user {}, to fix: chown {} {}", path.string(),
                       user_name(status.st_uid), user, shell_word(path.string()));
  }
  return {};
}

}  // namespace policyd
