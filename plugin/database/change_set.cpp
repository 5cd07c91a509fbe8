// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/change_set.hpp"

#include <fmt/core.h>

#include <memory>
#include <utility>

#include "daemon/events/event_rows.hpp"

namespace limits {

namespace {

// `values` must live until the statement is reset.
void bind(policyd::sql::Statement& statement, const std::vector<Value>& values) {
  int column = 0;
  for (const Value& value : values) {
    ++column;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      statement.bind(column, *number);
    } else if (const auto* string = std::get_if<std::string>(&value)) {
      statement.bind(column, std::string_view{*string});
    } else {
      statement.bind_null(column);
    }
  }
}

}  // namespace

Result<policyd::sql::Statement> Tables::prepare(std::string_view text) const {
  auto statement = policyd::sql::Statement::prepare(db, policyd::sql::with_prefix(text, prefix));
  if (!statement) return tl::unexpected{error(sqlite3_errcode(db))};
  return statement;
}

Result<void> Tables::each(std::string_view query, const std::vector<Value>& values,
                          const std::function<void(const policyd::sql::Statement&)>& take) const {
  auto rows = prepare(query);
  if (!rows) return tl::unexpected{rows.error()};
  bind(*rows, values);
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) take(*rows);
  if (code != SQLITE_DONE) return tl::unexpected{error(code)};
  return {};
}

Result<bool> Tables::has_row(std::string_view query, const std::vector<Value>& values) const {
  auto rows = prepare(query);
  if (!rows) return tl::unexpected{rows.error()};
  bind(*rows, values);
  const int code = rows->step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return tl::unexpected{error(code)};
  return code == SQLITE_ROW;
}

bool Tables::has_table(std::string_view name) const {
  return has_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?",
                 {prefix + std::string{name}})
      .value_or(false);
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

Result<std::vector<std::string>> typed(const Tables& tables, std::span<const RowChange> changes) {
  std::vector<std::string> out;
  for (const RowChange& change : changes) {
    auto statement = tables.prepare(change.statement());
    if (!statement) return tl::unexpected{statement.error()};
    bind(*statement, change.values);
    const std::unique_ptr<char, decltype(&sqlite3_free)> expanded{
        sqlite3_expanded_sql(statement->get()), &sqlite3_free};
    if (!expanded) return policyd::failure("out of memory");
    out.push_back(fmt::format("{};", expanded.get()));
  }
  return out;
}

Result<void> ChangeSet::begin() {
  if (auto begun = transaction_.begin_immediate(); !begun) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  rules_.emplace(tables_.db, tables_.prefix);
  return {};
}

policyd::sql::Statement* ChangeSet::compiled(std::string_view text) {
  const auto [found, is_new] = statements_.try_emplace(std::string{text});
  if (is_new) {
    auto statement = tables_.prepare(text);
    if (!statement) {
      statements_.erase(found);
      fail(statement.error());
      return nullptr;
    }
    found->second = std::move(*statement);
  }
  return &found->second;
}

void ChangeSet::run(std::string_view text, const std::vector<Value>& values) {
  if (!result_) return;
  policyd::sql::Statement* statement = compiled(text);
  if (statement == nullptr) return;
  bind(*statement, values);
  if (const int code = statement->run(); code != SQLITE_DONE) fail(tables_.error(code));
}

void ChangeSet::run(const RowChange& change) {
  run(change.statement(), change.values);
  if (!result_ || change.new_id == 0) return;
  if (sqlite3_last_insert_rowid(tables_.db) == change.new_id) return;
  fail({"a new row got another ID than expected; try again"});
}

bool ChangeSet::has_row(std::string_view query, const std::vector<Value>& values) {
  const auto found = tables_.has_row(query, values);
  if (!found) fail(found.error());
  return result_ && *found;
}

void ChangeSet::announce(policyd::Event event) {
  event.who = by_.who;
  event.detail = by_.what;
  event.first = event.last = policyd::wall_clock();
  policyd::announce(tables_.db, tables_.prefix, event);
}

void ChangeSet::fail(policyd::Error error) {
  if (result_) result_ = tl::unexpected{std::move(error)};
}

Result<void> ChangeSet::commit() {
  if (!result_) return result_;
  if (rules_) rules_->announce(by_, policyd::wall_clock());
  if (auto committed = transaction_.commit(); !committed) {
    return tl::unexpected{tables_.error(sqlite3_errcode(tables_.db))};
  }
  return {};
}

}  // namespace limits
