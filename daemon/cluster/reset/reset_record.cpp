// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_record.hpp"

#include <chrono>
#include <unordered_set>
#include <utility>

#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

constexpr std::chrono::seconds kPatience{1};
constexpr std::string_view kResetTable =
    "CREATE TABLE IF NOT EXISTS {p}limits_cluster_resets "
    "(ID INTEGER PRIMARY KEY CHECK (ID = 1), Done TEXT NOT NULL)";

}  // namespace

Result<ResetId> last_reset_done(const ResetDatabase& database) {
  const auto db = open_database(database.file, OpenMode::read_only, kPatience);
  if (!db) return tl::unexpected{db.error()};
  const auto table = sql::first_integer(
      db->get(), "SELECT 1 FROM sqlite_master WHERE name = '{p}limits_cluster_resets'",
      database.table_prefix);
  if (!table) return ResetId{};
  auto row = sql::Statement::prepare(
      db->get(), "SELECT Done FROM {p}limits_cluster_resets WHERE ID = 1", database.table_prefix);
  if (!row) return tl::unexpected{row.error()};
  if (row->step() != SQLITE_ROW) return ResetId{};
  return ResetId::parse(row->text(0)).value_or(ResetId{});
}

Result<void> remember_reset_done(const ResetDatabase& database, const ResetId& id) {
  const auto db = open_database(database.file, OpenMode::read_write, kPatience);
  if (!db) return tl::unexpected{db.error()};
  sql::Transaction transaction{db->get()};
  if (auto begun = transaction.begin_immediate(); !begun) return begun;
  auto made =
      sql::execute_or_explain(db->get(), sql::with_prefix(kResetTable, database.table_prefix));
  if (!made) return made;
  auto row = sql::Statement::prepare(
      db->get(), "REPLACE INTO {p}limits_cluster_resets (ID, Done) VALUES (1, ?1)",
      database.table_prefix);
  if (!row) return tl::unexpected{row.error()};
  const std::string text = id.to_string();
  row->bind(1, std::string_view{text});
  if (row->run() != SQLITE_DONE) return failure(sql::message_of(db->get()));
  return transaction.commit();
}

Result<KeysOfLimits> counters_of_limits(const ResetDatabase& database,
                                        const std::vector<std::int64_t>& limit_ids,
                                        std::int64_t rowid, std::size_t most) {
  const auto db = open_database(database.file, OpenMode::read_only, kPatience);
  if (!db) return tl::unexpected{db.error()};
  auto rows =
      sql::Statement::prepare(db->get(),
                              "SELECT rowid, QuotasLimitsID, TrackKey FROM {p}quotas_tracking "
                              "WHERE rowid > ?1 AND Counter > 0 ORDER BY rowid",
                              database.table_prefix);
  if (!rows) return tl::unexpected{rows.error()};
  const std::unordered_set<std::int64_t> wanted{limit_ids.begin(), limit_ids.end()};
  KeysOfLimits out;
  rows->bind(1, rowid);
  int code = SQLITE_ROW;
  while (out.counters.size() < most && (code = rows->step()) == SQLITE_ROW) {
    if (!wanted.contains(rows->integer(1))) continue;
    out.last_rowid = rows->integer(0);
    out.counters.push_back({rows->integer(1), std::string{rows->text(2)}});
  }
  if (code != SQLITE_ROW && code != SQLITE_DONE) return failure(sql::message_of(db->get()));
  return out;
}

}  // namespace policyd
