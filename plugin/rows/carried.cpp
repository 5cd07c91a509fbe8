// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/carried.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <unordered_map>

#include "daemon/config/module_table.hpp"
#include "daemon/modules/block.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;
using RowsByOwner =
    std::unordered_map<std::int64_t, std::vector<std::pair<std::int64_t, CarriedRow>>>;

// SQLite's own text of an infinite number is not read back as one.
std::string text_of(const Statement& statement, int column) {
  if (sqlite3_column_type(statement.get(), column) == SQLITE_FLOAT) {
    const double number = sqlite3_column_double(statement.get(), column);
    if (std::isinf(number)) return number > 0 ? "9e999" : "-9e999";
  }
  return std::string{statement.text(column)};
}

CarriedRow row_in(std::string_view table, const Statement& statement) {
  CarriedRow out;
  out.table = table;
  for (int i = 2; i < sqlite3_column_count(statement.get()); ++i) {  // after owner and ID
    const std::string_view name = sqlite3_column_name(statement.get(), i);
    if (is_reference(name) || statement.is_null(i)) continue;
    out.values.emplace_back(name, text_of(statement, i));
  }
  return out;
}

using Keep = std::function<bool(std::int64_t owner, std::int64_t id)>;

// The rows that are to be kept by the column `owner`, each with its ID.
Result<RowsByOwner> read_table(const Tables& tables, std::string_view table, std::string_view owner,
                               const Keep& keep) {
  RowsByOwner out;
  if (!tables.has_table(table)) return out;
  const auto done =
      tables.each(fmt::format("SELECT {}, ID, * FROM {{p}}{} ORDER BY ID", owner, table), {},
                  [&](const Statement& row) {
                    if (!keep(row.integer(0), row.integer(1))) return;
                    out[row.integer(0)].emplace_back(row.integer(1), row_in(table, row));
                  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<std::vector<CarriedGroup>> read_groups(const Tables& tables, const InWords& in_words,
                                              bool carbonio) {
  std::vector<CarriedGroup> out;
  bool examples = true;  // of the last group all members are
  const auto finish = [&] {
    if (!out.empty() && examples) out.back().members.clear();
    examples = true;
  };
  const auto done = tables.each(
      fmt::format("SELECT g.ID, g.Name, g.Disabled IS NOT 0, m.Member, m.Example FROM "
                  "{{p}}policy_groups g LEFT JOIN (SELECT *, {} AS Example FROM "
                  "{{p}}policy_group_members WHERE Disabled IS 0 AND Comment IS NOT ?) m ON "
                  "m.PolicyGroupID = g.ID ORDER BY g.ID, m.ID",
                  carbonio::kExampleRows),
      // Another Carbonio tells its own.
      {carbonio ? Value{std::string{carbonio::kOwnedComment}} : Value{std::int64_t{0}}},
      [&](const Statement& row) {
        const std::string_view name = row.text(1);
        if (in_words.groups.contains(std::string{name})) return;
        if (out.empty() || out.back().name != name) {
          finish();
          out.push_back({std::string{name}, row.integer(2) == 0, {}});
        }
        if (row.is_null(3)) return;
        out.back().members.emplace_back(row.text(3));
        examples = examples && row.integer(4) != 0;
      });
  if (!done) return tl::unexpected{done.error()};
  finish();
  return out;
}

std::string_view value(const CarriedRow& row, std::string_view column) {
  const auto found = std::find_if(row.values.begin(), row.values.end(),
                                  [&](const auto& pair) { return pair.first == column; });
  return found == row.values.end() ? std::string_view{} : std::string_view{found->second};
}

void take(RowsByOwner& rows, std::int64_t owner, std::vector<CarriedRow>& out) {
  const auto found = rows.find(owner);
  if (found == rows.end()) return;
  for (auto& [id, row] : found->second) out.push_back(std::move(row));
}

// What every new database has in checkhelo_blacklist.
constexpr std::string_view kHelos = "checkhelo_blacklist";
constexpr std::array<std::string_view, 4> kExampleHelos = {"127.0.0.1", "[127.0.0.1]", "localhost",
                                                           "localhost.localdomain"};

// A name of a new database that was deleted here is one that is off: another host has it.
void add_deleted_helos(std::vector<CarriedRow>& rows) {
  for (const std::string_view helo : kExampleHelos) {
    const bool here = std::any_of(rows.begin(), rows.end(), [&](const CarriedRow& row) {
      return row.table == kHelos && value(row, "Helo") == helo;
    });
    if (here) continue;
    rows.push_back({std::string{kHelos}, {{"Helo", std::string{helo}}, {"Disabled", "1"}}});
  }
}

using Rules = std::map<std::int64_t, std::vector<CarriedRow>>;  // by policy

// Each quota with its limits, then the rows of other modules.
Result<Rules> read_rules(const Tables& tables, const InWords& in_words) {
  std::unordered_set<std::int64_t> kept;
  auto quotas = read_table(tables, "quotas", "PolicyID", [&](std::int64_t, std::int64_t id) {
    return !in_words.quotas.contains(id) && kept.insert(id).second;
  });
  if (!quotas) return tl::unexpected{quotas.error()};
  auto rates = read_table(tables, "quotas_limits", "QuotasID",
                          [&](std::int64_t quota, std::int64_t) { return kept.contains(quota); });
  if (!rates) return tl::unexpected{rates.error()};
  Rules out;
  for (auto& [policy, rows] : *quotas) {
    for (auto& [id, row] : rows) {
      out[policy].push_back(std::move(row));
      take(*rates, id, out[policy]);
    }
  }
  for (const std::string_view table : carried_tables_of_policies()) {
    if (table.starts_with("polic") || table.starts_with("quotas")) continue;
    auto rows =
        read_table(tables, table, "PolicyID", [](std::int64_t, std::int64_t) { return true; });
    if (!rows) return tl::unexpected{rows.error()};
    for (const auto& [policy, unused] : *rows) take(*rows, policy, out[policy]);
  }
  return out;
}

Result<std::vector<CarriedPolicy>> read_policies(const Tables& tables, const InWords& in_words) {
  auto rules = read_rules(tables, in_words);
  if (!rules) return tl::unexpected{rules.error()};
  const auto has_rules = [&](std::int64_t policy, std::int64_t) { return rules->contains(policy); };
  auto policies = read_table(tables, "policies", "ID", has_rules);
  if (!policies) return tl::unexpected{policies.error()};
  auto members = read_table(tables, "policy_members", "PolicyID", has_rules);
  if (!members) return tl::unexpected{members.error()};
  std::vector<CarriedPolicy> out;
  for (auto& [policy, rows] : *rules) {
    if (!policies->contains(policy)) continue;  // they belong to none
    CarriedPolicy carried;
    carried.id = policy;
    take(*policies, policy, carried.rows);
    take(*members, policy, carried.rows);
    std::move(rows.begin(), rows.end(), std::back_inserter(carried.rows));
    if (!is_block(carried)) out.push_back(std::move(carried));
  }
  return out;
}

}  // namespace

bool is_reference(std::string_view column) {
  return equal_ignoring_case(column, "ID") || equal_ignoring_case(column, "PolicyID") ||
         equal_ignoring_case(column, "QuotasID");
}

std::vector<std::string_view> carried_tables_of_policies() {
  std::vector<std::string_view> out = {"policies", "policy_members", "quotas", "quotas_limits"};
  for (const policyd::ModuleInfo& module : policyd::kModules) {
    if (module.table != "quotas") out.push_back(module.table);
  }
  return out;
}

std::vector<std::string_view> other_carried_tables() {
  return {"greylisting_whitelist", "checkhelo_whitelist", "checkhelo_blacklist"};
}

Result<std::unordered_set<std::int64_t>> read_special_quotas(const Tables& tables) {
  std::unordered_set<std::int64_t> out;
  // Old databases do not have the column.
  const auto last =
      tables.has_row("SELECT 1 FROM pragma_table_info('{p}quotas') WHERE name = 'LastQuota'", {});
  if (!last) return tl::unexpected{last.error()};
  const auto done = tables.each(
      fmt::format("SELECT q.ID FROM {{p}}quotas q JOIN {{p}}policies p ON p.ID = q.PolicyID WHERE "
                  "p.Priority IS NOT 0{}",
                  *last ? " OR q.LastQuota IS NOT 0" : ""),
      {}, [&](const Statement& row) { out.insert(row.integer(0)); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<Carried> read_carried(const Tables& tables, const InWords& in_words, bool carbonio) {
  Carried out;
  auto groups = read_groups(tables, in_words, carbonio);
  if (!groups) return tl::unexpected{groups.error()};
  out.groups = std::move(*groups);
  auto policies = read_policies(tables, in_words);
  if (!policies) return tl::unexpected{policies.error()};
  out.policies = std::move(*policies);
  for (const std::string_view table : other_carried_tables()) {
    auto rows = read_table(tables, table, "0", [](std::int64_t, std::int64_t) { return true; });
    if (!rows) return tl::unexpected{rows.error()};
    take(*rows, 0, out.others);
  }
  if (tables.has_table(kHelos)) add_deleted_helos(out.others);
  return out;
}

std::string listed_name(const CarriedRow& row) {
  return fmt::format("{} {}", row.table, value(row, row.table == kHelos ? "Helo" : "Source"));
}

bool is_example(const CarriedRow& row) {
  const auto* const found =
      std::find(kExampleHelos.begin(), kExampleHelos.end(), value(row, "Helo"));
  return row.table == kHelos && found != kExampleHelos.end() && value(row, "Disabled") == "0";
}

bool is_own_group(std::string_view group) {
  return std::find(carbonio::kOwnGroups.begin(), carbonio::kOwnGroups.end(), group) !=
         carbonio::kOwnGroups.end();
}

bool is_example(const CarriedGroup& group) {
  return is_own_group(group.name) && group.enabled && group.members.empty();
}

bool is_example(const CarriedPolicy& policy) {
  const auto& rows = policy.rows;
  return rows.size() == 7 && value(rows[0], "Name") == "Test" &&
         value(rows[1], "Source") == "@example.net" &&
         value(rows[2], "Name") == "Recipient quotas" && value(rows[3], "CounterLimit") == "10" &&
         value(rows[4], "CounterLimit") == "8000" && value(rows[5], "Track") == "SenderIP:/24" &&
         value(rows[6], "CounterLimit") == "12";
}

std::string_view name_of(const CarriedPolicy& policy) { return value(policy.rows[0], "Name"); }

bool is_block(const CarriedPolicy& policy) {
  return policyd::block_end(name_of(policy)).has_value();
}

}  // namespace limits
