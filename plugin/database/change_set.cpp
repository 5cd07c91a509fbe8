// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/change_set.hpp"

#include <fmt/core.h>

#include <memory>

namespace limits {

using policyd::failure;

Result<policyd::sql::Statement> Tables::prepare(std::string_view text) const {
  auto statement = policyd::sql::Statement::prepare(db, policyd::sql::with_prefix(text, prefix));
  if (!statement) return tl::unexpected{error(sqlite3_errcode(db))};
  return statement;
}

bool Tables::has_table(std::string_view name) const {
  auto statement = policyd::sql::Statement::prepare(
      db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  if (!statement) return false;
  const std::string full = prefix + std::string{name};
  return statement->bind(1, std::string_view{full}).step() == SQLITE_ROW;
}

policyd::Error Tables::error(int code) const {
  constexpr int kPrimaryCode = 0xFF;
  switch (code & kPrimaryCode) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {
          "it is locked by another program, for more than 5 seconds now; end that program's "
          "transaction (an open sqlite3?) and try again"};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return {"it cannot be written; see who owns it, and whether its folder may be written"};
    case SQLITE_FULL:
      return {"the disk is full; make room and try again"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {
          fmt::format("it is damaged or no database ({}); the daemon puts another in its place "
                      "by itself, with what it has in memory, or the backup when it starts, and "
                      "'carbonio-limits restore FILE' takes back a copy",
                      sqlite3_errmsg(db))};
    case SQLITE_ERROR:  // no such table or column
      return {fmt::format("{}; is it a database of CBPolicyD?", sqlite3_errmsg(db))};
    default:
      return {sqlite3_errmsg(db)};
  }
}

Result<void> Changes::begin() {
  if (auto begun = transaction_.begin_immediate(); !begun) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  return {};
}

Result<void> Changes::run(std::string_view text, const std::vector<Value>& values) {
  auto statement = tables_.prepare(text);
  if (!statement) return tl::unexpected{statement.error()};
  int place = 0;
  for (const Value& value : values) {
    ++place;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      statement->bind(place, *number);
    } else if (const auto* string = std::get_if<std::string>(&value)) {
      statement->bind(place, std::string_view{*string});
    } else {
      statement->bind_null(place);
    }
  }
  const std::unique_ptr<char, decltype(&sqlite3_free)> expanded{
      sqlite3_expanded_sql(statement->get()), &sqlite3_free};
  if (!expanded) return failure("out of memory");
  if (const int code = statement->run(); code != SQLITE_DONE) {
    return tl::unexpected{tables_.error(code)};
  }
  typed_.push_back(fmt::format("{};", expanded.get()));
  return {};
}

Result<void> Changes::commit() {
  if (auto committed = transaction_.commit(); !committed) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  return {};
}

}  // namespace limits
