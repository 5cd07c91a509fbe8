// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/sqlite.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <system_error>

namespace policyd::sql {

namespace {
bool disk_is_full(sqlite3* db) {
  const char* file = sqlite3_db_filename(db, "main");
  std::error_code code;
  const auto space = std::filesystem::space(file == nullptr ? "" : file, code);
  constexpr std::uintmax_t kShared = 32 * 1024;  // the log's index, which SQLite creates first
  return !code && space.available < kShared;
}
}  // namespace

// "disk I/O error" alone does not say that the disk is full.
std::string message_of(sqlite3* db) {
  constexpr int kPrimary = 0xFF;  // of a code
  const bool full = (sqlite3_errcode(db) & kPrimary) == SQLITE_IOERR && disk_is_full(db);
  return fmt::format("{}{}", sqlite3_errmsg(db), full ? " (the disk is full)" : "");
}

Result<void> Statement::assign(sqlite3* db, std::string_view text, std::string_view table_prefix) {
  const std::string all = with_prefix(text, table_prefix);
  statement_.reset();  // first: it may change the connection's error
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db, all.data(), static_cast<int>(all.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  statement_.reset(raw);
  if (code == SQLITE_OK) return {};
  return failure(fmt::format("{} (in '{}')", message_of(db), all.substr(0, 60)));
}

Result<Statement> Statement::prepare(sqlite3* db, std::string_view text,
                                     std::string_view table_prefix) {
  Statement statement;
  if (auto done = statement.assign(db, text, table_prefix); !done) {
    return tl::unexpected{done.error()};
  }
  return statement;
}

int Statement::run() {
  int code = step();
  while (code == SQLITE_ROW) code = step();
  reset();
  return code;
}

std::string_view Statement::text(int column) const {
  const auto* data = sqlite3_column_text(statement_.get(), column);
  if (data == nullptr) return {};
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return {reinterpret_cast<const char*>(data), size};
}

std::optional<std::string> Statement::optional_text(int column) const {
  if (is_null(column)) return std::nullopt;
  return std::string{text(column)};
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(statement_.get(), column);
  if (data == nullptr) return {};
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return {static_cast<const char*>(data), size};
}

int execute(sqlite3* db, const char* text) {
  return sqlite3_exec(db, text, nullptr, nullptr, nullptr);
}

Result<void> execute_or_explain(sqlite3* db, const std::string& text) {
  if (execute(db, text.c_str()) != SQLITE_OK) {
    return failure(fmt::format("{} (in '{}')", message_of(db), text.substr(0, 60)));
  }
  return {};
}

std::optional<std::int64_t> first_integer(sqlite3* db, std::string_view query,
                                          std::string_view table_prefix) {
  auto rows = Statement::prepare(db, query, table_prefix);
  if (!rows || rows->step() != SQLITE_ROW) return std::nullopt;
  return rows->integer(0);
}

std::string with_prefix(std::string_view text, std::string_view table_prefix) {
  constexpr std::string_view kMark = "{p}";
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = text.find(kMark, at);
    out += text.substr(at, mark - at);
    if (mark == std::string_view::npos) break;
    out += table_prefix;
    at = mark + kMark.size();
  }
  return out;
}

Transaction::~Transaction() {
  if (open_) execute(db_, "ROLLBACK");
}

Result<void> Transaction::begin_immediate() {
  auto begun = execute_or_explain(db_, "BEGIN IMMEDIATE");
  open_ = begun.has_value();
  return begun;
}

Result<void> Transaction::commit() {
  auto committed = execute_or_explain(db_, "COMMIT");
  if (committed) open_ = false;
  return committed;
}

}  // namespace policyd::sql
