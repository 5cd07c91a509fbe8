// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/live_copy.hpp"

#include <fmt/core.h>

#include "daemon/sqlite/database.hpp"

namespace policyd {

Result<void> LiveCopy::attach_as(const std::filesystem::path& file, const char* name) {
  // ATTACH would create a missing file.
  if (auto exists = connect_database(file); !exists) return tl::unexpected{exists.error()};
  auto attach =
      sql::Statement::prepare(memory_.get(), fmt::format("ATTACH DATABASE ?1 AS {}", name));
  if (!attach) return tl::unexpected{attach.error()};
  attach->bind(1, std::string_view{file.native()});
  if (attach->run() != SQLITE_DONE) return failure(sql::message_of(memory_.get()));
  return sql::execute_or_explain(
      memory_.get(), fmt::format("PRAGMA {0}.synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
                                 "SELECT count(*) FROM {0}.sqlite_master",
                                 name));
}

Result<void> LiveCopy::attach() {
  detach();
  if (!memory_) {
    auto memory = connect_database(":memory:");
    if (!memory) return tl::unexpected{memory.error()};
    memory_ = std::move(*memory);
  }
  auto done = attach_as(file_, "live");
  attached_ = done.has_value();
  return done;
}

void LiveCopy::detach() {
  if (memory_) sql::execute(memory_.get(), "DETACH DATABASE live");
  attached_ = false;
}

Result<void> LiveCopy::in_transaction(const std::string& statements) {
  auto done = sql::execute_or_explain(memory_.get(), "BEGIN");
  if (done) done = sql::execute_or_explain(memory_.get(), statements);
  if (done) done = sql::execute_or_explain(memory_.get(), "COMMIT");
  if (!done && sqlite3_get_autocommit(memory_.get()) == 0) sql::execute(memory_.get(), "ROLLBACK");
  return done;
}

Result<void> LiveCopy::keep_rules() {
  if (!attached_) return failure("the database is not open");
  std::string statements;
  for (const char* table : rule_tables()) {
    statements += fmt::format(
        "DROP TABLE IF EXISTS main.{0}; CREATE TABLE main.{0} AS SELECT * FROM live.{0};\n",
        table_prefix_ + table);
  }
  const std::string version = table_prefix_ + "limits_rules_version";
  statements += fmt::format(
      "DROP TABLE IF EXISTS main.{0}; CREATE TABLE main.{0} AS SELECT * FROM live.{0};", version);
  if (auto done = in_transaction(statements); !done) return done;
  const auto kept =
      sql::first_integer(memory_.get(), fmt::format("SELECT Version FROM main.{}", version));
  if (!kept) return failure("the rules version is missing");
  kept_version_ = kept;
  return {};
}

// By their names: a database that was completed when it was taken over has them in another order.
std::string LiveCopy::columns_of(const std::string& table) const {
  std::string names;
  auto rows =
      sql::Statement::prepare(memory_.get(), fmt::format("PRAGMA main.table_info('{}')", table));
  while (rows && rows->step() == SQLITE_ROW) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", rows->text(1));
  }
  return names;
}

Result<void> LiveCopy::put_rules(const std::filesystem::path& into) {
  if (!kept_version_) return failure("there is no copy of the rules");
  auto done = attach_as(into, "other");
  if (!done) return done;
  std::string statements;
  for (const char* table : rule_tables()) {
    const std::string name = table_prefix_ + table;
    statements += fmt::format(
        "DELETE FROM other.{0}; INSERT INTO other.{0} ({1}) SELECT {1} FROM main.{0};\n", name,
        columns_of(name));
  }
  statements +=
      fmt::format("UPDATE other.{}limits_rules_version SET Version = max(Version, {}) + 1",
                  table_prefix_, *kept_version_);
  done = in_transaction(statements);
  sql::execute(memory_.get(), "DETACH DATABASE other");
  return done;
}

Result<void> LiveCopy::copy(const std::filesystem::path& to, const FileAccess& access,
                            std::chrono::milliseconds pause, const std::atomic<bool>& stop) {
  if (!attached_) return failure("the database is not open");
  return copy_database(memory_.get(), "live", to, access, pause, stop);
}

}  // namespace policyd
