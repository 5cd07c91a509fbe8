// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: limits by envelope sender. Postfix asks before it has verified the sender, so such a
// limit must also restrict where the mail comes from.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::ItemKind;
using policyd::ListItem;
using policyd::Side;
using policyd::sql::Statement;

using Groups = std::map<std::string, std::vector<std::string>>;  // enabled members by name

Groups read_groups(const Tables& tables) {
  Groups groups;
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

class Sources {
 public:
  explicit Sources(const Tables& tables) : groups_(read_groups(tables)) {}

  // Whether only authenticated mail, or mail from named networks, matches.
  [[nodiscard]] bool is_inside(const std::optional<std::string>& source) const {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::any_of(items.begin(), items.end(), [&](std::string_view item) {
      std::set<std::string> visited;
      return item_is_inside(item, visited);
    });
  }

  [[nodiscard]] bool requires_login(const std::optional<std::string>& source) const {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::any_of(items.begin(), items.end(), [&](std::string_view text) {
      const ListItem item = parse_item(text, Side::source);
      return item.kind == ItemKind::sasl_user && !item.negated && item.text != "-";
    });
  }

  // Whether a bounce from anywhere matches: no item requires anything that bounces lack.
  [[nodiscard]] static bool catches_bounces(const std::optional<std::string>& source) {
    if (policyd::matches_everything(source)) return true;
    const auto items = policyd::list_items(*source);
    return !items.empty() && std::all_of(items.begin(), items.end(), [](std::string_view text) {
      const ListItem item = parse_item(text, Side::source);
      if (item.kind == ItemKind::error) return false;
      return (item.negated && item.kind != ItemKind::empty_sender) ||
             (!item.negated && item.kind == ItemKind::empty_sender);
    });
  }

 private:
  bool item_is_inside(std::string_view text, std::set<std::string>& visited) const {
    const ListItem item = parse_item(text, Side::source);
    if (item.negated) return false;
    if (item.kind == ItemKind::client_network) return item.network.length > 0;
    if (item.kind == ItemKind::sasl_user) return item.text != "-";
    if (item.kind == ItemKind::unparsable || item.kind == ItemKind::error) return true;
    if (item.kind != ItemKind::group) return false;
    const auto group = groups_.find(item.text);
    // No mail matches a group that is empty, missing, or only contains itself.
    if (group == groups_.end() || !visited.insert(item.text).second) return true;
    return std::all_of(group->second.begin(), group->second.end(),
                       [&](const std::string& member) { return item_is_inside(member, visited); });
  }

  Groups groups_;
};

bool is_by_sender(const policyd::Quota& quota) {
  if (!quota.track) return false;
  const auto method = quota.track->method;
  return method == policyd::TrackMethod::sender_address ||
         method == policyd::TrackMethod::sender_domain ||
         method == policyd::TrackMethod::sender_user;
}

// The limit in the form that `send` accepts: "10/60s".
std::string spec_of(const policyd::Quota& quota) {
  for (const policyd::QuotaLimit& limit : quota.limits) {
    if (limit.type == policyd::LimitType::message_count) {
      return fmt::format("{:.0f}/{}s", limit.counter_limit, quota.period_s);
    }
  }
  return "LIMIT";
}

// How to fill the group: from Carbonio, else one member at a time.
std::string fix_for_group(const DoctorQuestion& question, const Tables& tables,
                          const std::string& group) {
  std::error_code code;
  if (std::filesystem::exists(question.zextras_home / "conf" / "localconfig.xml", code)) {
    return "carbonio-limits sync";
  }
  if (group == "internal_domains") {
    return "for each of your domains: carbonio-limits hook domain-created YOUR.DOMAIN";
  }
  const std::string of_group =
      fmt::format("(SELECT ID FROM {}policy_groups WHERE Name = '{}')", tables.prefix, group);
  return fmt::format(
      "for each of your networks, instead of 192.0.2.0/24: {}   (and DELETE the example rows)",
      sqlite_command(question,
                     fmt::format("INSERT INTO {}policy_group_members (PolicyGroupID, Member) "
                                 "VALUES ({}, '192.0.2.0/24')",
                                 tables.prefix, of_group)));
}

void check_example_groups(const DoctorQuestion& question, const Tables& tables,
                          const std::set<std::string>& used, Findings& findings) {
  const Groups groups = read_groups(tables);
  const std::map<std::string, std::set<std::string>> examples = {
      {"internal_domains", {"@example.org", "@example.com"}}, {"internal_ips", {"10.0.0.0/8"}}};
  for (const auto& [name, example] : examples) {
    const auto group = groups.find(name);
    if (!used.contains(name)) continue;
    const std::set<std::string> members =
        group == groups.end() ? std::set<std::string>{}
                              : std::set<std::string>{group->second.begin(), group->second.end()};
    if (!members.empty() && members != example) continue;
    findings.wrong("rules.example_groups",
                   members.empty() ? fmt::format("group {} is empty", name)
                                   : fmt::format("group {} still has only the example rows", name),
                   "limits that use it do not know this server's domains or networks, so they are "
                   "not in force for its users",
                   fix_for_group(question, tables, name));
  }
}

// Which mail the members of a policy match.
struct Members {
  bool outside = false;  // mail that is neither authenticated nor from a named network
  bool bounces = false;
  bool login = false;
  bool example = true;  // the policy that every fresh database has
};

Members examine_members(const Tables& tables, const Sources& sources, const policyd::Policy& policy,
                        std::set<std::string>& used_groups) {
  Members out;
  tables.each(fmt::format("SELECT Source, Destination FROM {{p}}policy_members WHERE Disabled = 0 "
                          "AND PolicyID = {}",
                          policy.id),
              {}, [&](const Statement& row) {
                const auto source = row.optional_text(0);
                out.example = out.example && source == "@example.net";
                out.outside = out.outside || !sources.is_inside(source);
                out.bounces = out.bounces || Sources::catches_bounces(source);
                out.login = out.login || sources.requires_login(source);
                for (int side = 0; side < 2 && !policy.quotas.empty(); ++side) {
                  for (const char* name : {"internal_domains", "internal_ips"}) {
                    const bool used =
                        row.text(side).find(fmt::format("%{}", name)) != std::string_view::npos;
                    if (used) used_groups.insert(name);
                  }
                }
              });
  return out;
}

// The limits on senders from anywhere that --anyone created: their policy has this command's own
// description. Rows typed by hand may not intend it.
std::map<std::int64_t, std::int64_t> created_with_anyone(const Tables& tables,
                                                         const AllLimits& all) {
  std::map<std::int64_t, std::int64_t> out;  // the limit of each quota
  std::map<std::int64_t, std::string> descriptions;
  tables.each("SELECT ID, Description FROM {p}policies", {},
              [&](const Statement& row) { descriptions[row.integer(0)] = row.text(1); });
  for (const StoredLimit& limit : all.limits) {
    const Recognised& what = limit.what;
    if (!what.direction || !what.target || !what.per ||
        !(what.target->who == Who::anyone || what.target->from_anywhere)) {
      continue;
    }
    if (descriptions[limit.policy_id] != description(*what.direction, *what.target, *what.per)) {
      continue;
    }
    for (const StoredRate& rate : limit.rates) out[rate.quota_id] = limit.id;
  }
  return out;
}

bool refuses_by_account(const AllLimits& all) {
  return std::any_of(all.limits.begin(), all.limits.end(), [](const StoredLimit& limit) {
    const Recognised& what = limit.what;
    return limit.enabled() && limit.verdict && what.per && is_account(*what.per) && what.target &&
           what.target->who == Who::anyone;
  });
}

// One finding for a quota that counts mail from outside and, if `bounces`, all bounces too.
void find_outside(const policyd::Policy& policy, const policyd::Quota& quota, bool bounces,
                  Findings& findings) {
  const std::string what =
      fmt::format("quota {} of policy {} ({})", quota.id, policy.id, escaped(policy.name));
  const std::string fix =
      fmt::format("carbonio-limits send {} && carbonio-limits remove {}", spec_of(quota), quota.id);
  constexpr const char* kForged =
      "anyone can use up a user's limit by forging that user as sender; then the user's own mail "
      "is refused";
  if (bounces) {
    findings.wrong(
        "rules.bounces",
        what +
            " counts all incoming mail by envelope sender, with all bounces in one counter "
            "(Sender:<>)",
        fmt::format("incoming mail is limited like outgoing mail, a wave of bounces blocks all "
                    "further bounces, and {}",
                    kForged),
        fix);
  } else {
    findings.wrong("rules.outside",
                   what + " counts by envelope sender, including mail from outside", kForged, fix);
  }
}

bool counts_sizes(const policyd::Policy& policy, bool example) {
  const auto by_size = [](const policyd::QuotaLimit& limit) {
    return limit.type == policyd::LimitType::message_cumulative_size;
  };
  return std::any_of(policy.accounting.begin(), policy.accounting.end(),
                     [](const auto& row) { return row.size_limit > 0; }) ||
         (!example &&
          std::any_of(policy.quotas.begin(), policy.quotas.end(), [&](const auto& quota) {
            return std::any_of(quota.limits.begin(), quota.limits.end(), by_size);
          }));
}

}  // namespace

void check_senders(const DoctorQuestion& question, const Tables& tables, const AllLimits& all,
                   RulesChecked& checked, Findings& findings) {
  const Sources sources{tables};
  const auto intended = created_with_anyone(tables, all);
  checked.by_account = refuses_by_account(all);
  std::set<std::string> used_groups;
  std::set<std::int64_t> reported;
  for (const policyd::Policy& policy : checked.rules->policies) {
    const Members members = examine_members(tables, sources, policy, used_groups);
    checked.by_size = checked.by_size || counts_sizes(policy, members.example);
    for (const policyd::Quota& quota : policy.quotas) {
      if (!is_by_sender(quota) || quota.limits.empty()) continue;
      checked.by_sender = checked.by_sender || members.login;
      if (quota.verdict.kind == policyd::RowVerdict::Kind::none) continue;  // it only monitors
      if (!members.outside) continue;
      const auto limit = intended.find(quota.id);
      if (limit == intended.end()) {
        find_outside(policy, quota, members.bounces, findings);
      } else if (reported.insert(limit->second).second) {
        findings.well("rules.anyone",
                      fmt::format("limit {} also counts mail from outside, as --anyone requested: "
                                  "outsiders can use it up",
                                  limit->second));
      }
    }
  }
  check_example_groups(question, tables, used_groups, findings);
  if (question.daemon.config.quotas && reported.empty() && !findings.is_wrong("rules.outside") &&
      !findings.is_wrong("rules.bounces")) {
    findings.well("rules.senders",
                  "no limit can be used up by outsiders who forge a user as sender");
  }
}

}  // namespace limits
