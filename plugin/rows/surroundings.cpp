// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/surroundings.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/config/module_table.hpp"
#include "daemon/rules/match/list_item.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

// The tables with rows that belong to a policy, apart from its members and quotas.
std::vector<std::string_view> module_tables(const Tables& tables) {
  std::vector<std::string_view> out = {"amavis_rules"};
  for (const policyd::ModuleInfo& module : policyd::kModules) {
    if (module.table != "quotas") out.push_back(module.table);
  }
  std::erase_if(out, [&](std::string_view table) { return !tables.has_table(table); });
  return out;
}

// Columns that hold the ID of a row of another table.
struct Reference {
  std::string_view table;
  std::string_view column;
};

// A new row must not take an ID that rows name already, although no such row exists: it would
// become theirs.
Result<NewIds> new_ids(const Tables& tables, std::string_view table,
                       std::span<const Reference> references) {
  std::int64_t largest = 0;
  bool by_itself = false;
  auto done = tables.each(fmt::format("SELECT ifnull(max(ID), 0) FROM {{p}}{}", table), {},
                          [&](const Statement& row) { largest = row.integer(0); });
  if (done && tables.has_row("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'", {})
                  .value_or(false)) {
    done = tables.each("SELECT seq FROM sqlite_sequence WHERE name = ?",
                       {tables.prefix + std::string{table}}, [&](const Statement& row) {
                         by_itself = true;
                         largest = std::max(largest, row.integer(0));
                       });
  }
  if (!done) return tl::unexpected{done.error()};
  // A table with AUTOINCREMENT that never had a row has no sequence yet.
  by_itself = by_itself || largest == 0;
  constexpr std::int64_t kMaxId = std::numeric_limits<std::int64_t>::max() / 2;
  if (largest > kMaxId) {
    return policyd::failure(
        fmt::format("table {} has a row with the ID {}, so new rows get none; give that row a "
                    "smaller one",
                    table, largest));
  }
  std::set<std::int64_t> waiting;
  for (const Reference& reference : references) {
    if (!tables.has_table(reference.table)) continue;
    done = tables.each(fmt::format("SELECT DISTINCT {1} FROM {{p}}{0} WHERE {1} > ? AND "
                                   "typeof({1}) = 'integer'",
                                   reference.table, reference.column),
                       {largest}, [&](const Statement& row) { waiting.insert(row.integer(0)); });
    if (!done) return tl::unexpected{done.error()};
  }
  return NewIds{largest + 1, by_itself, std::move(waiting)};
}

Result<NextIds> read_ids(const Tables& tables, std::span<const std::string_view> modules) {
  std::vector<Reference> of_policies = {{"policy_members", "PolicyID"}, {"quotas", "PolicyID"}};
  for (const std::string_view table : modules) of_policies.push_back({table, "PolicyID"});
  constexpr std::array<Reference, 1> kOfQuotas = {{{"quotas_limits", "QuotasID"}}};
  constexpr std::array<Reference, 1> kOfLimits = {{{"quotas_tracking", "QuotasLimitsID"}}};
  constexpr std::array<Reference, 1> kOfGroups = {{{"policy_group_members", "PolicyGroupID"}}};
  NextIds out;
  struct Source {
    NewIds& ids;
    std::string_view table;
    std::span<const Reference> references;
  };
  for (const Source& source :
       {Source{out.policies, "policies", of_policies}, Source{out.quotas, "quotas", kOfQuotas},
        Source{out.quotas_limits, "quotas_limits", kOfLimits},
        Source{out.policy_groups, "policy_groups", kOfGroups}}) {
    auto ids = new_ids(tables, source.table, source.references);
    if (!ids) return tl::unexpected{ids.error()};
    source.ids = std::move(*ids);
  }
  return out;
}

// Counts the except-groups in a list: "%NAME-except" and "!%NAME-except".
void count_mentions(std::string_view list, Surroundings& out) {
  for (std::string_view item : policyd::member_items(list)) {
    if (item.substr(0, 1) == "!") item.remove_prefix(1);
    if (item.substr(0, 1) == "%") ++out.mentions[std::string{item.substr(1)}];
  }
}

}  // namespace

Result<Surroundings> read_surroundings(const Tables& tables) {
  Surroundings out;
  const auto modules = module_tables(tables);
  auto done = tables.each(
      "SELECT PolicyID, count(*) FROM {p}quotas GROUP BY PolicyID", {}, [&](const Statement& row) {
        out.quotas_of_policy[row.integer(0)] = static_cast<std::size_t>(row.integer(1));
      });
  for (const std::string_view table : modules) {
    if (!done) break;
    done =
        tables.each(fmt::format("SELECT DISTINCT PolicyID FROM {{p}}{}", table), {},
                    [&](const Statement& row) { out.policies_of_modules.insert(row.integer(0)); });
  }
  if (done) {
    done = tables.each("SELECT Name FROM {p}policy_groups", {},
                       [&](const Statement& row) { out.groups.emplace(row.text(0)); });
  }
  for (const char* query :
       {"SELECT Source FROM {p}policy_members WHERE instr(Source, '-except')",
        "SELECT Destination FROM {p}policy_members WHERE instr(Destination, '-except')",
        "SELECT Member FROM {p}policy_group_members WHERE instr(Member, '-except')"}) {
    if (!done) break;
    done = tables.each(query, {}, [&](const Statement& row) { count_mentions(row.text(0), out); });
  }
  if (!done) return tl::unexpected{done.error()};
  auto ids = read_ids(tables, modules);
  if (!ids) return tl::unexpected{ids.error()};
  out.ids = std::move(*ids);
  return out;
}

}  // namespace limits
