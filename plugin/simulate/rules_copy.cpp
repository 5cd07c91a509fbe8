// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/rules_copy.hpp"

#include <fmt/core.h>

#include <set>
#include <string>
#include <utility>

#include "daemon/rules/rules_loader.hpp"
#include "daemon/sqlite/database.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/rows/surroundings.hpp"
#include "schema_sql.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

Result<std::vector<std::string>> columns_in(const Tables& tables, const std::string& table) {
  std::vector<std::string> out;
  auto done = tables.each(fmt::format("PRAGMA table_info({}{})", tables.prefix, table), {},
                          [&](const Statement& row) { out.emplace_back(row.text(1)); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<std::shared_ptr<const policyd::Rules>> rules_in(const Tables& tables) {
  auto rules = policyd::load_rules(tables.db, tables.prefix, std::nullopt);
  if (!rules) return policyd::failure(rules.error().message);
  return std::move(*rules);
}

}  // namespace

Result<RulesCopy> RulesCopy::of(const Tables& from) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open(":memory:", &db);
  RulesCopy out{policyd::sql::Handle{db}};
  if (code != SQLITE_OK) return policyd::failure("there is not enough memory");
  auto done =
      policyd::sql::execute_or_explain(db, policyd::sql::with_prefix(policyd::kSchemaSql, {}));
  // The transaction sees one moment.
  if (done && policyd::sql::execute(from.db, "BEGIN") != SQLITE_OK) {
    return tl::unexpected{from.error(sqlite3_errcode(from.db))};
  }
  if (done) done = policyd::sql::execute_or_explain(db, "BEGIN");
  for (const char* table : policyd::rule_tables()) {
    if (done) done = out.copy_table(from, table);
  }
  if (done) done = policyd::sql::execute_or_explain(db, "COMMIT");
  policyd::sql::execute(from.db, "ROLLBACK");
  if (!done) return tl::unexpected{done.error()};
  return out;
}

// The columns that both have; a database of the Perl daemon may lack some, or the table.
Result<void> RulesCopy::copy_table(const Tables& from, const std::string& table) {
  const auto theirs = columns_in(from, table);
  if (!theirs) return tl::unexpected{theirs.error()};
  const auto ours = columns_in(tables(), table);
  if (!ours) return tl::unexpected{ours.error()};
  const std::set<std::string> known(theirs->begin(), theirs->end());
  std::string names;
  std::string places;
  int count = 0;
  for (const std::string& name : *ours) {
    if (!known.contains(name)) continue;
    names += (count == 0 ? "" : ", ") + name;
    places += count++ == 0 ? "?" : ", ?";
  }
  auto done = tables().each(fmt::format("DELETE FROM {}", table), {}, [](const Statement&) {});
  if (!done || count == 0) return done;
  auto insert =
      tables().prepare(fmt::format("INSERT INTO {} ({}) VALUES ({})", table, names, places));
  if (!insert) return tl::unexpected{insert.error()};
  Result<void> inserted;
  done =
      from.each(fmt::format("SELECT {} FROM {{p}}{}", names, table), {}, [&](const Statement& row) {
        for (int i = 0; i < count; ++i) {
          sqlite3_bind_value(insert->get(), i + 1, sqlite3_column_value(row.get(), i));
        }
        if (insert->run() != SQLITE_DONE && inserted)
          inserted = tl::unexpected{tables().error(SQLITE_ERROR)};
      });
  return done ? inserted : done;
}

Result<LimitPlan> RulesCopy::plan() const {
  auto all = read_limits(tables());
  if (!all) return tl::unexpected{all.error()};
  auto around = read_surroundings(tables());
  if (!around) return tl::unexpected{around.error()};
  return LimitPlan{std::move(*all), std::move(*around)};
}

Result<void> RulesCopy::run(const std::vector<RowChange>& changes) {
  for (const RowChange& change : changes) {
    auto done = tables().each(change.statement(), change.values, [](const Statement&) {});
    if (!done) return done;
  }
  return {};
}

Result<void> RulesCopy::only(const std::vector<StoredLimit>& limits) {
  std::string quotas = "0";
  for (const StoredLimit& limit : limits) {
    for (const StoredRate& rate : limit.rates) quotas += fmt::format(", {}", rate.quota_id);
  }
  return policyd::sql::execute_or_explain(
      db_.get(), fmt::format("UPDATE quotas SET Disabled = 1 WHERE ID NOT IN ({})", quotas));
}

Result<void> RulesCopy::let_refuse(const std::vector<StoredLimit>& limits) {
  for (const StoredLimit& limit : limits) {
    if (!limit.only_monitors()) continue;
    const auto verdict = default_verdict(limit.what.direction.value_or(Direction::send));
    for (const StoredRate& rate : limit.rates) {
      auto done = tables().each("UPDATE quotas SET Verdict = ? WHERE ID = ?",
                                {std::string{policyd::name_of(verdict)}, rate.quota_id},
                                [](const Statement&) {});
      if (!done) return done;
    }
  }
  return {};
}

Result<void> RulesCopy::without_limits() {
  auto plan_of_none = plan();
  if (!plan_of_none) return tl::unexpected{plan_of_none.error()};
  for (const StoredLimit& limit : plan_of_none->before().limits) plan_of_none->remove(limit.id);
  const auto planned = plan_of_none->finish();
  if (!planned) return tl::unexpected{planned.error()};
  return run(planned->changes);
}

Result<ReplayRules> RulesCopy::rules() {
  ReplayRules out;
  // A block of today (daemon/modules/block.hpp) would refuse the mail before all limits.
  auto done = policyd::sql::execute_or_explain(db_.get(), "DELETE FROM access_control");
  if (!done) return tl::unexpected{done.error()};
  auto deciding = rules_in(tables());
  if (!deciding) return tl::unexpected{deciding.error()};
  out.deciding = std::move(*deciding);
  done = policyd::sql::execute_or_explain(db_.get(), "UPDATE quotas SET Verdict = NULL");
  if (!done) return tl::unexpected{done.error()};
  auto watching = rules_in(tables());
  if (!watching) return tl::unexpected{watching.error()};
  out.watching = std::move(*watching);
  return out;
}

}  // namespace limits
