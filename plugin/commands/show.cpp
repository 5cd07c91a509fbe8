// SPDX-License-Identifier: AGPL-3.0-only
// `show`: everything about one limit.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/limit_json.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/rows/last_quota.hpp"
#include "plugin/rows/replacements.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kShowOptions = {{{"json", "", "print JSON"}}};

std::string list_of(std::vector<std::int64_t> numbers) {
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string out;
  for (const std::int64_t number : numbers) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ", number);
  }
  return out;
}

// The limits that replace this one, by their item in lower case.
using Reasons = std::unordered_map<std::string, const StoredLimit*>;

Reasons reasons_for(const AllLimits& all, const StoredLimit& limit) {
  std::vector<const StoredLimit*> limits;
  for (const StoredLimit& each : all.limits) limits.push_back(&each);
  Reasons out;
  each_pair(limits, [&](std::size_t general, std::size_t special) {
    if (limits[general] != &limit || !replaces(limit, *limits[special])) return;
    out.emplace(lower_cased(item_of(*limits[special]->what.target)), limits[special]);
  });
  return out;
}

std::string reason_for(const Reasons& reasons, const std::string& item) {
  const auto found = reasons.find(lower_cased(item));
  if (found == reasons.end()) return "exempt";
  return fmt::format("limit {}, {}", found->second->id, format_limit(found->second->plain_rates()));
}

void print_named(Output& output, std::string_view name, std::string_view text) {
  output.line(fmt::format("  {:<9} {}", name, text));
}

void print_rows(const StoredLimit& limit, Output& output) {
  std::vector<std::int64_t> members;
  std::vector<std::int64_t> quotas;
  std::vector<std::int64_t> rows;
  for (const StoredMember& member : limit.members) members.push_back(member.id);
  for (const StoredRate& rate : limit.rates) quotas.push_back(rate.quota_id);
  for (const StoredRate& rate : limit.rates) rows.push_back(rate.limit_id);
  print_named(output, "Rows",
              fmt::format("policies {}, policy_members {}, quotas {}, quotas_limits {}",
                          limit.policy_id, list_of(members), list_of(quotas), list_of(rows)));
}

// Mail for which this limit ends the check, or is not asked.
bool print_ends(const AllLimits& all, const std::vector<AskedQuota>& order,
                const StoredLimit& limit, Output& output) {
  bool ends = false;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (!order[i].last || find_limit(all, order[i].id) != &limit) continue;
    ends = true;
    print_named(output, "Ends", end_text(order, i, all));
  }
  const auto before = limits_that_end(order, all, &limit);
  if (!before.empty()) {
    print_named(output, "After",
                fmt::format("{}, which {} the check (LastQuota): mail that {} too is neither "
                            "counted nor refused here",
                            with_ids("limit", before), of_number(before.size(), "ends", "end"),
                            of_number(before.size(), "it matches", "one of them matches")));
  }
  return ends;
}

void print_limit(const AllLimits& all, const std::vector<AskedQuota>& order,
                 const StoredLimit& limit, Output& output) {
  output.line(fmt::format("Limit {}: {}.", limit.id, describe(limit)));
  print_named(output, "State", state_text(limit));
  if (!limit.broken_group.empty()) {
    print_named(output, "Broken",
                fmt::format("group {} contains itself or an invalid address, so the limit holds "
                            "for no one",
                            escaped(limit.broken_group)));
  }
  for (const StoredRate& rate : limit.rates) {
    print_named(output, "Limit",
                format_rate(rate.rate) + (rate.enabled || limit.enabled() ? "" : " (off)"));
    if (verdict_word(limit.verdict) == "none") continue;
    const std::string text = rate.data.value_or("");
    print_named(output, "Message", text.empty() ? "(the daemon's default text)" : escaped(text));
  }
  const Reasons reasons = limit.except.empty() ? Reasons{} : reasons_for(all, limit);
  for (const std::string& item : limit.except) {
    print_named(output, "Except", fmt::format("{} ({})", escaped(item), reason_for(reasons, item)));
  }
  print_named(output, "Counts", limit.track == "Policy" ? "all together" : escaped(limit.track));
  print_named(output, "Name", escaped(limit.policy_name));
  print_rows(limit, output);
  const bool ends = print_ends(all, order, limit, output);
  if (const auto wanted = wanted_of(limit); wanted && !ends) {  // no command sets LastQuota
    print_named(output, "Command", "carbonio-limits " + line_of(*wanted));
  }
}

Outcome run_show(const Arguments& arguments, Context& context) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
                         const auto all = read_limits(tables);
                         if (!all) return tl::unexpected{all.error()};
                         const auto order = read_order_of_quotas(tables);
                         if (!order) return tl::unexpected{order.error()};
                         const auto id = existing_limit(*all, ids->front());
                         if (!id) return tl::unexpected{id.error()};
                         const StoredLimit& limit = *find_limit(*all, *id);
                         const auto warnings = headlines(daemon, context.now);
                         if (arguments.has("json")) {
                           nlohmann::json out = json_of(limit);
                           out["ended_by"] = limits_that_end(*order, *all, &limit);
                           out["warnings"] = texts_of(warnings);
                           context.output.print(out);
                         } else {
                           print_headlines(warnings, context.advice, context.output);
                           print_limit(*all, *order, limit, context.output);
                           if (ids->front() != limit.id) {
                             context.output.note(
                                 fmt::format("{} is another row of limit {} in table quotas; the "
                                             "log and 'explain' name the rows, "
                                             "'list' the first of them.",
                                             ids->front(), limit.id));
                           }
                         }
                         return {};
                       });
}

}  // namespace

const Command kShow = {
    "show",
    "ID [--json]",
    "Show everything about one limit",
    "IDs are in the first column of 'list'. 'Except' names each target that the limit does not "
    "apply to, with the limit that replaces it; 'exempt' means none does. 'Broken' appears where a "
    "group in an exception contains itself or an invalid address: then no mail matches. 'Ends' and "
    "'After' "
    "appear where a limit ends the check (LastQuota), so that limits after it neither count nor "
    "refuse mail that it matches. 'Rows' are the IDs in the database's tables.",
    "show 3",
    kShowOptions,
    1,
    run_show,
    Takes::id};

}  // namespace limits
