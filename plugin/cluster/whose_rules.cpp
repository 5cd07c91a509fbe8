// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/whose_rules.hpp"

#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>

#include "daemon/cluster/rules/rule_text.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"
#include "schema_sql.hpp"

namespace limits {
namespace {

using policyd::RuleChoice;

// In every new database, for nobody.
bool is_example(const StoredLimit& limit) {
  return limit.policy_name == "Test" && !limit.members.empty() &&
         limit.members.front().text.source == "@example.net";
}

}  // namespace

policyd::Result<std::size_t> limits_in(std::string_view rules) {
  sqlite3* memory = nullptr;
  const bool opened = sqlite3_open(":memory:", &memory) == SQLITE_OK;
  const policyd::sql::Handle db{memory};
  if (!opened) return policyd::failure("SQLite cannot open a database in memory");
  auto done = policyd::sql::execute_or_explain(db.get(),
                                               policyd::sql::with_prefix(policyd::kSchemaSql, ""));
  if (done) done = policyd::replace_rules(db.get(), "", rules);
  if (!done) return tl::unexpected{done.error()};
  const auto all = read_limits(Tables{db.get(), ""});
  if (!all) return tl::unexpected{all.error()};
  return static_cast<std::size_t>(
      std::count_if(all->limits.begin(), all->limits.end(),
                    [](const StoredLimit& limit) { return !is_example(limit); }));
}

policyd::Result<WhoseRules> whose_rules(const RulesSides& sides, std::optional<RuleChoice> asked) {
  if (!sides.theirs) {
    if (asked != RuleChoice::theirs) return WhoseRules::first;
    return policyd::failure(
        "the cluster has no rules yet, so there is nothing to take; without --take-theirs this "
        "host's rules become the cluster's");
  }
  if (sides.equal) return WhoseRules::equal;
  if (asked) return *asked == RuleChoice::theirs ? WhoseRules::theirs : WhoseRules::ours;
  if (sides.ours == 0) return WhoseRules::theirs;
  if (*sides.theirs == 0) return WhoseRules::ours;
  return policyd::failure(fmt::format(
      "this host has other rules ({}) than the cluster ({}): --take-theirs replaces this host's, "
      "--give-ours replaces those of all other hosts; say which",
      counted(sides.ours, "limit"), counted(*sides.theirs, "limit")));
}

}  // namespace limits
