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
          "another program has locked it for more than 5 seconds; end that program's transaction "
          "(an open sqlite3?) and try again"};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return {"it cannot be written; check its owner and permissions, and those of its folder"};
    case SQLITE_FULL:
      return {"the disk is full; free some space and try again"};
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return {
          fmt::format("it is damaged or not a database ({}); a running daemon replaces it "
                      "automatically, a starting one restores its backup, and 'carbonio-limits "
                      "restore FILE' restores a copy",
                      sqlite3_errmsg(db))};
    case SQLITE_ERROR:  // no such table or column
      return {fmt::format("{}; is it a database of CBPolicyD?", sqlite3_errmsg(db))};
    default:
      return {sqlite3_errmsg(db)};
  }
}

Result<void> ChangeSet::begin() {
  if (auto begun = transaction_.begin_immediate(); !begun) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  return {};
}

Result<void> ChangeSet::run(std::string_view text, const std::vector<Value>& values) {
  auto statement = tables_.prepare(text);
  if (!statement) return tl::unexpected{statement.error()};
  int column = 0;
  for (const Value& value : values) {
    ++column;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      statement->bind(column, *number);
    } else if (const auto* string = std::get_if<std::string>(&value)) {
      statement->bind(column, std::string_view{*string});
    } else {
      statement->bind_null(column);
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

Result<void> ChangeSet::commit() {
  if (auto committed = transaction_.commit(); !committed) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  return {};
}

}  // namespace limits
