// SPDX-License-Identifier: AGPL-3.0-only
// `list`: all limits, including those created by hand.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "plugin/block/blocks.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/limit_json.hpp"
#include "plugin/rows/last_quota.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kListOptions = {{{"json", "", "print JSON"}}};

nlohmann::json limits_json(const AllLimits& all, const std::vector<StoredBlock>& blocks,
                           const std::vector<Headline>& warnings, policyd::TimePoint now) {
  nlohmann::json limits = nlohmann::json::array();
  for (const StoredLimit& limit : all.limits) limits.push_back(json_of(limit));
  nlohmann::json blocked = nlohmann::json::array();
  for (const StoredBlock& each : blocks) {
    if (each.in_force(now)) blocked.push_back(each.block.who);
  }
  return {{"limits", limits},
          {"blocked", std::move(blocked)},
          {"unreadable_quotas", all.unreadable},
          {"warnings", texts_of(warnings)}};
}

void note_ends(const AllLimits& all, const std::vector<AskedQuota>& order, Context& context) {
  const auto ends = limits_that_end(order, all);
  if (ends.empty()) return;
  context.output.note(context.advice.complete(fmt::format(
      "{} {} the check (LastQuota): limits after {} neither count nor refuse mail that {}; "
      "'carbonio-limits show {}' says which.",
      with_ids("limit", ends), of_number(ends.size(), "ends", "end"),
      of_number(ends.size(), "it", "them"), of_number(ends.size(), "it matches", "they match"),
      ends.front())));
}

void note_broken_groups(const AllLimits& all, Context& context) {
  std::map<std::string, std::vector<std::int64_t>> limits;
  for (const StoredLimit& limit : all.limits) {
    if (limit.partly_enabled() && !limit.broken_group.empty()) {
      limits[limit.broken_group].push_back(limit.id);
    }
  }
  for (const auto& [group, ids] : limits) {
    context.output.note(context.advice.complete(fmt::format(
        "{} {} for no one, because group {} contains itself or an invalid address; "
        "'carbonio-limits doctor' says how to correct it.",
        with_ids("limit", ids), of_number(ids.size(), "holds", "hold"), escaped(group))));
  }
}

void print_table(const AllLimits& all, Context& context) {
  Output& output = context.output;
  if (all.limits.empty()) {
    output.line(context.advice.complete(
        "There are no limits. To limit each user of this server: carbonio-limits send 100/h"));
  } else {
    Table table{{{"ID", true},
                 {"DIRECTION"},
                 {"WHO", false, Shrinks::last},
                 {"LIMIT", false, Shrinks::last},
                 {"PER"},
                 {"VERDICT"},
                 {"STATE"}}};
    for (const StoredLimit& limit : all.limits) {
      const std::string_view state = state_text(limit);
      const Colour colour = state == "invalid" ? Colour::red
                            : limit.enabled()  ? Colour::green
                                               : Colour::dim;
      table.add({{fmt::format("{}", limit.id)},
                 {direction_text(limit)},
                 {who_text(limit)},
                 {format_limit(limit.plain_rates())},
                 {per_text(limit)},
                 {verdict_word(limit.verdict)},
                 {std::string{state}, colour}});
    }
    output.print(table);
  }
  const bool examples =
      std::any_of(all.limits.begin(), all.limits.end(), [](const StoredLimit& limit) {
        return limit.policy_name == "Test" && !limit.members.empty() &&
               limit.members.front().text.source == "@example.net";
      });
  if (examples) {
    output.note(
        "limits from @example.net to anyone are the examples in every new database. They apply "
        "to no other sender.");
  }
  std::vector<std::int64_t> invalid;
  for (const StoredLimit& limit : all.limits) {
    if (state_text(limit) == "invalid" && limit.broken_group.empty()) invalid.push_back(limit.id);
  }
  note_broken_groups(all, context);
  if (!invalid.empty()) {
    output.note(
        context.advice.complete(fmt::format("the daemon cannot use {}; 'carbonio-limits doctor' "
                                            "says why, and what becomes of the mail.",
                                            with_ids("limit", invalid))));
  }
  if (!all.unreadable.empty()) {
    output.note(context.advice.complete(fmt::format(
        "{} of table quotas cannot be used as {}: the period, amount or type is missing or "
        "invalid; 'carbonio-limits doctor' says what becomes of the mail.",
        with_ids("row", all.unreadable), of_number(all.unreadable.size(), "a limit", "limits"))));
  }
}

void note_blocks(const std::vector<StoredBlock>& blocks, Context& context) {
  std::vector<std::string> names;
  for (const StoredBlock& each : blocks) {
    if (each.in_force(context.now)) names.push_back(escaped(each.block.who));
  }
  if (names.empty()) return;
  constexpr std::size_t kShownNames = 5;
  const std::size_t more = names.size() - std::min(names.size(), kShownNames);
  if (more != 0) {
    names.resize(kShownNames);
    names.push_back(fmt::format("{} more", more));
  }
  context.output.note(context.advice.complete(fmt::format(
      "all mail of {} is refused; 'carbonio-limits blocked' shows since and until when.",
      join_with_and(names))));
}

void print_sharing(const DaemonConfig& daemon, Context& context) {
  const std::string line = sharing_line(view_cluster(daemon));
  if (line.empty()) return;
  context.output.line(context.advice.complete(line));
  context.output.line("");
}

Outcome run_list(const Arguments& arguments, Context& context) {
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
                         const auto all = read_limits(tables);
                         if (!all) return tl::unexpected{all.error()};
                         const auto order = read_order_of_quotas(tables);
                         if (!order) return tl::unexpected{order.error()};
                         const auto blocks = read_blocks(tables);
                         if (!blocks) return tl::unexpected{blocks.error()};
                         const auto warnings = headlines(daemon, context.now);
                         if (arguments.has("json")) {
                           context.output.print(limits_json(*all, *blocks, warnings, context.now));
                         } else {
                           print_headlines(warnings, context.advice, context.output);
                           print_sharing(daemon, context);
                           print_table(*all, context);
                           note_ends(*all, *order, context);
                           note_blocks(*blocks, context);
                         }
                         return {};
                       });
}

}  // namespace

const Command kList = {
    "list",
    "[--json]",
    "Show all limits, including those created with SQL",
    "The ID is that of the limit's first row in table quotas. 'everyone, 1 exempt, 2 with own "
    "limit': "
    "'show ID' names them. The log and 'explain' name the row of table quotas, which may be "
    "another one of the same limit; 'show' takes that too. Limits with a different "
    "direction or PER add up. PER 'client, IPv6 /32' is a limit by SenderIP:/32, created by hand "
    "or by an earlier version: it counts each IPv4 address separately, but IPv6 by networks as "
    "large as a provider's. To count each IPv6 address too, run the command that 'show ID' prints; "
    "what IPv4 addresses have used is kept.",
    "list\n"
    "list --json",
    kListOptions,
    0,
    run_list};

}  // namespace limits
