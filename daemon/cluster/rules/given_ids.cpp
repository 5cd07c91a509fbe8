// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/given_ids.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "daemon/base/ascii.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

// Larger ones would leave no IDs for new rows.
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max() / 4;
constexpr std::size_t kMaxIdsBytes = 2'000;
constexpr std::string_view kRaise = "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1";
constexpr std::string_view kAdd = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";

bool remembers_ids(sqlite3* db, std::string_view table) {
  auto row = sql::Statement::prepare(
      db, "SELECT 1 FROM sqlite_master WHERE name = ?1 AND sql LIKE '%AUTOINCREMENT%'");
  if (!row) return false;
  row->bind(1, table);
  return row->step() == SQLITE_ROW;
}

Result<std::int64_t> highest_id(sqlite3* db, std::string_view table) {
  auto row = sql::Statement::prepare(db, "SELECT max(seq) FROM sqlite_sequence WHERE name = ?1");
  if (!row) return tl::unexpected{row.error()};
  row->bind(1, table);
  if (row->step() != SQLITE_ROW) return failure(sql::message_of(db));
  return row->integer(0);
}

Result<void> set_highest_id(sqlite3* db, std::string_view table, std::int64_t id) {
  for (const std::string_view statement : {kRaise, kAdd}) {
    auto row = sql::Statement::prepare(db, statement);
    if (!row) return tl::unexpected{row.error()};
    row->bind(1, table).bind(2, id);
    if (row->run() != SQLITE_DONE) return failure(sql::message_of(db));
    if (sqlite3_changes(db) > 0) break;
  }
  return {};
}

// 9 of "policies=6 quotas=9" for quotas; 0 if there is none that can be used.
std::int64_t id_in(std::string_view ids, std::string_view name) {
  if (ids.size() > kMaxIdsBytes) return 0;
  while (!ids.empty()) {
    const std::string_view word = ids.substr(0, ids.find(' '));
    ids.remove_prefix(std::min(word.size() + 1, ids.size()));
    const std::size_t equals = word.find('=');
    if (word.substr(0, equals) != name || equals == std::string_view::npos) continue;
    const auto id = parse_number<std::int64_t>(word.substr(equals + 1)).value_or(0);
    return id > kLargest ? 0 : id;
  }
  return 0;
}

}  // namespace

Result<std::string> given_ids(sqlite3* db, std::string_view table_prefix, std::string_view others) {
  std::string out;
  for (const char* name : rule_tables()) {
    const std::string table = fmt::format("{}{}", table_prefix, name);
    if (!remembers_ids(db, table)) continue;
    const auto own = highest_id(db, table);
    if (!own) return tl::unexpected{own.error()};
    const std::int64_t id = std::max(*own, id_in(others, name));
    if (id > 0) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, id);
  }
  return out;
}

Result<void> raise_given_ids(sqlite3* db, std::string_view table_prefix, std::string_view ids) {
  for (const char* name : rule_tables()) {
    const std::int64_t given = id_in(ids, name);
    const std::string table = fmt::format("{}{}", table_prefix, name);
    if (given < 1 || !remembers_ids(db, table)) continue;
    const auto id = highest_id(db, table);
    if (!id) return tl::unexpected{id.error()};
    if (*id >= given) continue;
    if (auto done = set_highest_id(db, table, given); !done) return done;
  }
  return {};
}

}  // namespace policyd
