// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: the groups that limits use, above all those of this server's own domains and networks.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "daemon/rules/match/list_item.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

constexpr auto& kOwnGroups = carbonio::kOwnGroups;

std::string_view content_of(std::string_view group) {
  return group == kOwnGroups[0] ? "domains" : "networks";
}

// Groups named by the members of policies with limits, without those named with `!` only.
std::set<std::string> used_groups(const RuleRows& rows, bool negated) {
  std::set<std::string> out;
  const auto take = [&](const std::optional<std::string>& list) {
    if (policyd::matches_everything(list)) return;
    for (const std::string_view text : policyd::list_items(*list)) {
      const auto item = policyd::parse_item(text, policyd::Side::source);
      if (item.kind == policyd::ItemKind::group && (negated || !item.negated))
        out.insert(item.text);
    }
  };
  for (const policyd::Policy& policy : rows.rules.policies) {
    if (policy.quotas.empty()) continue;
    for (const PolicyMember& member : rows.members_of(policy.id)) {
      take(member.source);
      take(member.destination);
    }
  }
  return out;
}

std::string insert_member(const RuleRows& rows, std::string_view group, std::string_view member) {
  return fmt::format(
      "INSERT INTO {} (PolicyGroupID, Member) VALUES ((SELECT ID FROM {} WHERE Name = {}), {})",
      rows.table("policy_group_members"), rows.table("policy_groups"), sql_literal(group),
      sql_literal(member));
}

// From Carbonio, else one member at a time.
Fix fix_for_group(const RuleRows& rows, std::string_view group, const GroupRows& found) {
  if (!is_carbonio(rows.question)) return advice(how_to_fill(group));
  const bool again = read_group(rows.tables, group == kOwnGroups[0] ? kOwnGroups[1] : kOwnGroups[0])
                             .synchronised != 0 &&
                     found.id && found.examples == 0;
  if (!again) return command("carbonio-limits sync");
  return advice(fmt::format(
      "Carbonio knows no {} of this server; set them there ({}), then: carbonio-limits sync",
      content_of(group),
      group == kOwnGroups[0] ? "carbonio prov createDomain" : "zimbraMtaMyNetworks"));
}

void check_own_group(const RuleRows& rows, std::string_view group, Findings& findings) {
  const GroupRows found = read_group(rows.tables, group);
  const std::string why = fmt::format(
      "limits that use it do not know this server's {}, so they are not in force for its users",
      content_of(group));
  if (!found.id) {
    findings.wrong(problem::kNoGroup, fmt::format("group {} does not exist", group), why,
                   fix_for_group(rows, group, found));
  } else if (!found.enabled) {
    findings.wrong(problem::kGroupOff, fmt::format("group {} is switched off", group), why,
                   rows.sql({fmt::format("UPDATE {} SET Disabled = 0 WHERE ID = {}",
                                         rows.table("policy_groups"), *found.id)}));
  } else if (found.members == found.examples &&
             !rows.has_odd_switch("policy_group_members", "PolicyGroupID", *found.id)) {
    findings.wrong(problem::kExampleGroup,
                   found.members == 0
                       ? fmt::format("group {} is empty", group)
                       : fmt::format("group {} still has only the example rows", group),
                   why, fix_for_group(rows, group, found));
  }
}

// The whole world as one of this server's own networks.
void check_open_networks(const RuleRows& rows, Findings& findings) {
  rows.tables.each(
      "SELECT m.ID, m.Member FROM {p}policy_group_members m JOIN {p}policy_groups g ON g.ID = "
      "m.PolicyGroupID WHERE g.Name = 'internal_ips' AND g.Disabled = 0 AND m.Disabled = 0",
      {}, [&](const Statement& row) {
        const auto items = policyd::member_items(row.text(1));
        const bool open = std::any_of(items.begin(), items.end(), [](std::string_view text) {
          const auto item = policyd::parse_item(text, policyd::Side::source);
          return item.kind == policyd::ItemKind::client_network && !item.negated &&
                 item.network.length == 0;
        });
        if (!open) return;
        findings.wrong(
            problem::kOpenNetworks,
            fmt::format("group internal_ips contains all networks ({})", escaped(row.text(1))),
            "mail from anywhere counts as this server's own: anyone can use up a user's limit by "
            "forging that user as sender",
            advice(
                "put your own network in place of 127.0.0.0/8: " +
                sqlite_command(rows.question,
                               {fmt::format("UPDATE {} SET Member = '127.0.0.0/8' WHERE ID = {}",
                                            rows.table("policy_group_members"), row.integer(0))})));
      });
}

// Other groups that a limit is for.
void check_other_group(const RuleRows& rows, const std::string& name, Findings& findings) {
  const GroupRows found = read_group(rows.tables, name);
  if (!found.id || (found.enabled && found.members != 0)) return;  // check_problems knows the first
  const std::string why = "limits for it are not in force";
  if (!found.enabled) {
    findings.wrong(problem::kGroupOff, fmt::format("group {} is switched off", escaped(name)), why,
                   rows.sql({fmt::format("UPDATE {} SET Disabled = 0 WHERE ID = {}",
                                         rows.table("policy_groups"), *found.id)}));
    return;
  }
  if (rows.has_odd_switch("policy_group_members", "PolicyGroupID", *found.id)) return;
  findings.wrong(problem::kEmptyGroup, fmt::format("group {} is empty", escaped(name)), why,
                 advice("say who is in it, in place of MEMBER: " +
                        sqlite_command(rows.question, {insert_member(rows, name, "MEMBER")})));
}

}  // namespace

GroupMembers read_group_members(const Tables& tables) {
  GroupMembers groups;
  tables.each(
      "SELECT g.Name, m.Member FROM {p}policy_groups g JOIN {p}policy_group_members m ON "
      "m.PolicyGroupID = g.ID WHERE g.Disabled = 0 AND m.Disabled = 0",
      {}, [&](const Statement& row) {
        for (const std::string_view item : policyd::member_items(row.text(1))) {
          groups[std::string{row.text(0)}].emplace_back(item);
        }
      });
  return groups;
}

bool is_filled(const Tables& tables, std::string_view group) {
  const GroupRows found = read_group(tables, group);
  return found.enabled && found.members > found.examples;
}

void check_groups(const RuleRows& rows, Findings& findings) {
  const auto used = used_groups(rows, true);
  for (const std::string_view group : kOwnGroups) {
    if (used.contains(std::string{group})) check_own_group(rows, group, findings);
  }
  if (used.contains("internal_ips")) check_open_networks(rows, findings);
  for (const std::string& name : used_groups(rows, false)) {
    const bool own = std::find(kOwnGroups.begin(), kOwnGroups.end(), name) != kOwnGroups.end();
    if (!own) check_other_group(rows, name, findings);
  }
}

}  // namespace limits
