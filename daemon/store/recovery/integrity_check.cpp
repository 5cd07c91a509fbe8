// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/integrity_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

using State = Soundness::State;

// Read in some 50 ms.
constexpr std::int64_t kSmallBytes = 32 * 1024 * 1024;

Soundness judge(sqlite3* db, int code) {
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {State::damaged, sql::message_of(db)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {};
    default:
      return {State::unreadable, sql::message_of(db)};
  }
}

// With the descriptor that SQLite has open: another one, closed, would drop its locks.
bool has_header(sqlite3* db) {
  constexpr std::array<char, 16> kHeader = {'S', 'Q', 'L', 'i', 't', 'e', ' ', 'f',
                                            'o', 'r', 'm', 'a', 't', ' ', '3', '\0'};
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  if (file == nullptr || file->pMethods == nullptr) return true;
  std::array<char, kHeader.size()> bytes{};
  const int code = file->pMethods->xRead(file, bytes.data(), static_cast<int>(bytes.size()), 0);
  if (code == SQLITE_IOERR_SHORT_READ) return false;
  return code != SQLITE_OK || bytes == kHeader;
}

Soundness quick_check(sqlite3* db, const std::string& argument) {
  auto check = sql::Statement::prepare(db, fmt::format("PRAGMA quick_check({})", argument));
  if (!check) return judge(db, sqlite3_errcode(db));
  const int code = check->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return judge(db, code);
  // Contradictions of the file come first and begin so. A row that breaks a constraint, which it
  // tells too, harms nobody.
  std::string what{code == SQLITE_ROW ? check->text(0) : std::string_view{}};
  if (!what.starts_with("*** in database")) return {};
  std::replace(what.begin(), what.end(), '\n', ' ');
  return {State::damaged, std::move(what)};
}

std::int64_t number(sqlite3* db, std::string_view question) {
  auto rows = sql::Statement::prepare(db, question);
  return rows && rows->step() == SQLITE_ROW ? rows->integer(0) : 0;
}

}  // namespace

Soundness check_soundness(sqlite3* db, std::string_view table_prefix, Care care) {
  const std::int64_t bytes = number(db, "PRAGMA page_count") * number(db, "PRAGMA page_size");
  Soundness found;
  if (care == Care::thorough || bytes <= kSmallBytes) {
    found = quick_check(db, "1");
  } else {
    for (const char* table : rule_tables()) {
      found = quick_check(db, fmt::format("{}{}", table_prefix, table));
      if (found.state != State::sound) break;
    }
  }
  if (found.state == State::sound && !has_header(db)) {
    return {State::damaged, "the file does not begin as a database does"};
  }
  return found;
}

}  // namespace policyd
