// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/integrity_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/open_file.hpp"

namespace policyd {
namespace {

using State = Soundness::State;

// Read in some 50 ms.
constexpr std::int64_t kSmallBytes = 32 * 1024 * 1024;

Soundness judge(sqlite3* db, int code) {
  // The log is shorter than its index says.
  if (code == SQLITE_IOERR_SHORT_READ) return {State::damaged, sql::message_of(db)};
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {State::damaged, sql::message_of(db)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_ERROR:  // a table is missing
      return {};
    default:
      return {State::unreadable, sql::message_of(db)};
  }
}

bool has_header(sqlite3* db) {
  constexpr std::array<char, 16> kHeader = {'S', 'Q', 'L', 'i', 't', 'e', ' ', 'f',
                                            'o', 'r', 'm', 'a', 't', ' ', '3', '\0'};
  std::array<char, kHeader.size()> bytes{};
  const int code = read_file_start(db, bytes);
  if (code == SQLITE_IOERR_SHORT_READ) return false;
  return code != SQLITE_OK || bytes == kHeader;
}

Soundness quick_check(sqlite3* db, const std::string& argument) {
  auto check = sql::Statement::prepare(db, fmt::format("PRAGMA quick_check({})", argument));
  if (!check) return judge(db, sqlite3_errcode(db));
  const int code = check->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return judge(db, code);
  // Inconsistencies of the file come first and start like this. It also reports rows that break a
  // constraint, which do no harm.
  std::string what{code == SQLITE_ROW ? check->text(0) : std::string_view{}};
  if (!what.starts_with("*** in database")) return {};
  std::replace(what.begin(), what.end(), '\n', ' ');
  return {State::damaged, std::move(what)};
}

}  // namespace

Soundness check_soundness(sqlite3* db, std::string_view table_prefix, Care care) {
  const std::int64_t bytes = sql::first_integer(db, "PRAGMA page_count").value_or(0) *
                             sql::first_integer(db, "PRAGMA page_size").value_or(0);
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
    return {State::damaged, "the file does not start like a database"};
  }
  return found;
}

}  // namespace policyd
