// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/rules/rule_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/uuid/detail/sha1.hpp>
#include <cmath>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "daemon/counting/state_bytes.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"

namespace policyd {
namespace {

// The bytes: kVersion; for each table its name, the number of its columns and their names; then for
// each row kRow and its values, each after its type; kEnd after the last row. At the end kEnd.
constexpr char kVersion = 1;
constexpr char kEnd = 0;
constexpr char kRow = 1;
constexpr char kTable = 2;
constexpr std::size_t kMaxName = 64;
constexpr std::uint64_t kMaxColumns = 64;
constexpr std::size_t kMaxText = 1024UL * 1024;

struct Blob {
  std::string_view bytes;
};
using Value = std::variant<std::monostate, std::int64_t, double, std::string_view, Blob>;

struct ReadTable {
  std::string_view name;
  std::vector<std::string_view> columns;
};

void put_value(std::string& out, const sql::Statement& row, int column) {
  const int type = row.type(column);
  out += static_cast<char>(type);
  if (type == SQLITE_INTEGER) put_integer(out, row.integer(column));
  if (type == SQLITE_FLOAT) put_double(out, row.real(column));
  if (type == SQLITE_TEXT) put_text(out, row.text(column));
  if (type == SQLITE_BLOB) put_text(out, row.blob(column));
}

// What is longer would keep all others from reading these rules.
bool fits(const sql::Statement& row, int column) {
  const int type = row.type(column);
  return (type != SQLITE_TEXT || row.text(column).size() <= kMaxText) &&
         (type != SQLITE_BLOB || row.blob(column).size() <= kMaxText);
}

std::optional<Value> read_value(StateReader& in) {
  const int type = in.byte().value_or(0);
  if (type == SQLITE_NULL) return Value{};
  if (type == SQLITE_INTEGER) {
    const auto value = in.integer();
    return value ? std::optional<Value>{*value} : std::nullopt;
  }
  if (type == SQLITE_FLOAT) {
    const auto value = in.number();
    return value ? std::optional<Value>{*value} : std::nullopt;
  }
  if (type != SQLITE_TEXT && type != SQLITE_BLOB) return std::nullopt;
  const auto text = in.text(kMaxText);
  if (!text) return std::nullopt;
  return type == SQLITE_TEXT ? Value{*text} : Value{Blob{*text}};
}

std::optional<ReadTable> read_table(StateReader& in) {
  const auto name = in.text(kMaxName);
  const auto count = name ? in.varint(kMaxColumns) : std::nullopt;
  if (!count) return std::nullopt;
  ReadTable table{*name, {}};
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto column = in.text(kMaxName);
    if (!column) return std::nullopt;
    table.columns.push_back(*column);
  }
  return table;
}

// Walks all tables and rows. An Error where the bytes are not what save_rules() returned, or from
// the visitors.
using VisitTable = std::function<Result<void>(const ReadTable&)>;
using VisitRow = std::function<Result<void>(const ReadTable&, const std::vector<Value>&)>;
Result<void> walk(std::string_view saved, const VisitTable& visit_table,
                  const VisitRow& visit_row) {
  const auto damaged = [] { return failure("these are no rules of this version"); };
  StateReader in{saved};
  if (in.byte() != kVersion) return damaged();
  std::vector<Value> values;
  std::optional<std::uint8_t> mark;
  while ((mark = in.byte()) == kTable) {
    const auto table = read_table(in);
    if (!table) return damaged();
    if (auto done = visit_table(*table); !done) return done;
    while ((mark = in.byte()) == kRow) {
      values.clear();
      for (std::size_t i = 0; i < table->columns.size(); ++i) {
        const auto value = read_value(in);
        if (!value) return damaged();
        values.push_back(*value);
      }
      if (auto done = visit_row(*table, values); !done) return done;
    }
    if (mark != kEnd) return damaged();
  }
  if (mark != kEnd || !in.at_end()) return damaged();
  return {};
}

std::string joined(const std::vector<std::string>& columns) {
  return fmt::format("\"{}\"", fmt::join(columns, "\", \""));
}

Result<void> save_table(sqlite3* db, std::string_view table_prefix, const std::string& name,
                        const std::vector<std::string>& columns, std::string& out) {
  auto rows = sql::Statement::prepare(db, fmt::format("SELECT {} FROM {}{} ORDER BY ID, rowid",
                                                      joined(columns), table_prefix, name));
  if (!rows) return tl::unexpected{rows.error()};
  out += kTable;
  put_text(out, name);
  put_varint(out, columns.size());
  for (const std::string& column : columns) put_text(out, column);
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    out += kRow;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const int column = static_cast<int>(i);
      if (!fits(*rows, column)) {
        return failure(fmt::format("{} {}: {} is longer than 1 MiB, too long to be shared", name,
                                   rows->integer(0), columns[i]));
      }
      put_value(out, *rows, column);
    }
    if (out.size() > kMaxRuleBytes) return failure("the rules are too large to be shared");
  }
  if (code != SQLITE_DONE) return failure(sql::message_of(db));
  out += kEnd;
  return {};
}

void bind(sql::Statement& statement, int index, const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) statement.bind_null(index);
  if (const auto* number = std::get_if<std::int64_t>(&value)) statement.bind(index, *number);
  if (const auto* number = std::get_if<double>(&value)) statement.bind(index, *number);
  if (const auto* text = std::get_if<std::string_view>(&value)) statement.bind(index, *text);
  if (const auto* blob = std::get_if<Blob>(&value)) statement.bind_blob(index, blob->bytes);
}

// SQL has no words for what is no number or beyond all numbers.
std::string real_as_sql(double number) {
  if (std::isnan(number)) return "NULL";
  if (std::isinf(number)) return number < 0 ? "-9e999" : "9e999";
  return fmt::format("{:.17g}", number);
}

std::string as_sql(const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return "NULL";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return fmt::to_string(*number);
  if (const auto* number = std::get_if<double>(&value)) return real_as_sql(*number);
  std::string out;
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    // A zero byte would end the statement for sqlite3.
    const bool plain = text->find('\0') == std::string_view::npos;
    if (!plain) return fmt::format("CAST({} AS TEXT)", as_sql(Blob{*text}));
    for (const char c : *text) out += c == '\'' ? std::string{"''"} : std::string(1, c);
    return fmt::format("'{}'", out);
  }
  for (const char c : std::get<Blob>(value).bytes) {
    out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  return fmt::format("x'{}'", out);
}

bool is_rule_table(std::string_view name) {
  const auto tables = rule_tables();
  return std::any_of(tables.begin(), tables.end(),
                     [&](const char* table) { return name == table; });
}

// Names come from outside, and become part of statements: only those that we know.
Result<void> check_names(const ReadTable& table,
                         const std::map<std::string, std::vector<std::string>>& standard) {
  const auto known = standard.find(std::string{table.name});
  const bool right = known != standard.end() && is_rule_table(table.name) &&
                     std::equal(table.columns.begin(), table.columns.end(), known->second.begin(),
                                known->second.end());
  if (!right) return failure("these rules have other tables or columns than this version");
  return {};
}

}  // namespace

Result<std::string> save_rules(sqlite3* db, std::string_view table_prefix) {
  const auto columns = standard_columns();
  if (!columns) return tl::unexpected{columns.error()};
  std::string out(1, kVersion);
  for (const char* name : rule_tables()) {
    if (auto done = save_table(db, table_prefix, name, columns->at(name), out); !done) {
      return tl::unexpected{done.error()};
    }
  }
  out += kEnd;
  return out;
}

Result<void> replace_rules(sqlite3* db, std::string_view table_prefix, std::string_view saved) {
  const auto standard = standard_columns();
  if (!standard) return tl::unexpected{standard.error()};
  for (const char* name : rule_tables()) {
    auto done = sql::execute_or_explain(db, fmt::format("DELETE FROM {}{}", table_prefix, name));
    if (!done) return done;
  }
  sql::Statement insert;
  return walk(
      saved,
      [&](const ReadTable& table) -> Result<void> {
        if (auto right = check_names(table, *standard); !right) return right;
        std::string places = "?";
        for (std::size_t i = 1; i < table.columns.size(); ++i) places += ", ?";
        return insert.assign(
            db, fmt::format("INSERT INTO {}{} ({}) VALUES ({})", table_prefix, table.name,
                            joined(standard->at(std::string{table.name})), places));
      },
      [&](const ReadTable&, const std::vector<Value>& values) -> Result<void> {
        for (std::size_t i = 0; i < values.size(); ++i) {
          bind(insert, static_cast<int>(i) + 1, values[i]);
        }
        if (insert.run() != SQLITE_DONE) return failure(sql::message_of(db));
        return {};
      });
}

Result<std::string> rules_as_sql(std::string_view saved, std::string_view table_prefix) {
  std::string out = "BEGIN;\n";
  auto done = walk(
      saved,
      [&](const ReadTable& table) -> Result<void> {
        out += fmt::format("DELETE FROM {}{};\n", table_prefix, table.name);
        return {};
      },
      [&](const ReadTable& table, const std::vector<Value>& values) -> Result<void> {
        std::vector<std::string> texts;
        texts.reserve(values.size());
        for (const Value& value : values) texts.push_back(as_sql(value));
        out += fmt::format("INSERT INTO {}{} ({}) VALUES ({});\n", table_prefix, table.name,
                           fmt::join(table.columns, ", "), fmt::join(texts, ", "));
        return {};
      });
  if (!done) return tl::unexpected{done.error()};
  return out + "COMMIT;\n";
}

std::string sha1_of(std::string_view saved) {
  boost::uuids::detail::sha1 hash;
  hash.process_bytes(saved.data(), saved.size());
  boost::uuids::detail::sha1::digest_type digest{};
  hash.get_digest(digest);
  std::string out;
  for (const auto part : digest) {
    if constexpr (sizeof part == 1) {
      out += fmt::format("{:02x}", part);
    } else {
      out += fmt::format("{:08x}", part);
    }
  }
  return out;
}

RuleCounts count_rules(std::string_view saved) {
  RuleCounts counts;
  static_cast<void>(walk(
      saved, [](const ReadTable&) { return Result<void>{}; },
      [&](const ReadTable& table, const std::vector<Value>&) {
        counts.policies += table.name == "policies" ? 1 : 0;
        counts.quotas += table.name == "quotas" ? 1 : 0;
        return Result<void>{};
      }));
  return counts;
}

}  // namespace policyd
