// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: limits by envelope sender. Postfix asks before it knows whether the sender is who he
// says he is, so such a limit has to say where the mail comes from, too.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "daemon/item.hpp"
#include "plugin/advice.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/text.hpp"

namespace limits {
namespace {

using policyd::Item;
using policyd::ItemKind;
using policyd::Side;
using policyd::sql::Statement;

using Groups = std::map<std::string, std::vector<std::string>>;  // enabled members by name

Groups read_groups(const Tables& tables) {
  Groups groups;
  each_row(tables,
           "SELECT g.Name, m.Member FROM {p}policy_groups g JOIN {p}policy_group_members m ON "
           "m.PolicyGroupID = g.ID WHERE g.Disabled = 0 AND m.Disabled = 0",
           [&](const Statement& row) {
             for (const std::string_view item : policyd::member_items(row.text(1))) {
               groups[std::string{row.text(0)}].emplace_back(item);
             }
           });
  return groups;
}

class Sources {
 public:
  explicit Sources(const Tables& tables) : groups_(read_groups(tables)) {}

  // Whether mail must be authenticated, or come from networks that are named, to match.
  [[nodiscard]] bool is_inside(const std::optional<std::string>& source) const {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::any_of(items.begin(), items.end(), [&](std::string_view item) {
      std::set<std::string> visited;
      return item_is_inside(item, visited);
    });
  }

  [[nodiscard]] bool asks_for_login(const std::optional<std::string>& source) const {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::any_of(items.begin(), items.end(), [&](std::string_view text) {
      const Item item = parse_item(text, Side::source);
      return item.kind == ItemKind::sasl_user && !item.negated && item.text != "-";
    });
  }

  // Whether a bounce from anywhere matches: nothing in it asks for something that bounces lack.
  [[nodiscard]] static bool catches_bounces(const std::optional<std::string>& source) {
    if (policyd::matches_everything(source)) return true;
    const auto items = policyd::list_items(*source);
    return !items.empty() && std::all_of(items.begin(), items.end(), [](std::string_view text) {
      const Item item = parse_item(text, Side::source);
      if (item.kind == ItemKind::error) return false;
      return (item.negated && item.kind != ItemKind::empty_sender) ||
             (!item.negated && item.kind == ItemKind::empty_sender);
    });
  }

 private:
  bool item_is_inside(std::string_view text, std::set<std::string>& visited) const {
    const Item item = parse_item(text, Side::source);
    if (item.negated) return false;
    if (item.kind == ItemKind::client_network) return item.network.length > 0;
    if (item.kind == ItemKind::sasl_user) return item.text != "-";
    if (item.kind == ItemKind::unparsable || item.kind == ItemKind::error) return true;
    if (item.kind != ItemKind::group) return false;
    const auto group = groups_.find(item.text);
    // Nothing is in a group that is empty, missing, or only holds itself.
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

// The limit as `send` takes it: "10/60s".
std::string spec_of(const policyd::Quota& quota) {
  for (const policyd::QuotaLimit& limit : quota.limits) {
    if (limit.type == policyd::LimitType::message_count) {
      return fmt::format("{:.0f}/{}s", limit.counter_limit, quota.period_s);
    }
  }
  return "LIMIT";
}

// There may be a subcommand that fills them; else they are typed.
std::string mending_group(const DoctorQuestion& question, const Tables& tables,
                          const std::string& group) {
  if (has_subcommand("sync")) return "carbonio-limits sync";
  const bool domains = group == "internal_domains";
  const std::string of_group =
      fmt::format("(SELECT ID FROM {}policy_groups WHERE Name = '{}')", tables.prefix, group);
  return fmt::format(
      "for each of your own {}: {}   (and DELETE the example rows)",
      domains ? "domains, in place of YOUR.DOMAIN" : "networks, in place of 192.0.2.0/24",
      sqlite_command(
          question.daemon.config.database,
          fmt::format("INSERT INTO {}policy_group_members (PolicyGroupID, Member) "
                      "VALUES ({}, '{}')",
                      tables.prefix, of_group, domains ? "@YOUR.DOMAIN" : "192.0.2.0/24")));
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
                   members.empty()
                       ? fmt::format("group {} is empty", name)
                       : fmt::format("group {} still holds only the example rows", name),
                   "limits that use it do not know this server's own domains or networks, so they "
                   "are not in force for its users",
                   mending_group(question, tables, name));
  }
}

}  // namespace

void check_senders(const DoctorQuestion& question, const Tables& tables, RulesChecked& checked,
                   Findings& findings) {
  const Sources sources{tables};
  std::set<std::string> used_groups;
  for (const policyd::Policy& policy : checked.rules->policies) {
    for (const policyd::AccountingRow& row : policy.accounting) {
      checked.by_size = checked.by_size || row.size_limit > 0;
    }
    bool outside = false;
    bool bounces = false;
    bool login = false;
    bool example = true;  // the one that every fresh database has
    each_row(tables,
             fmt::format("SELECT Source, Destination FROM {{p}}policy_members WHERE Disabled = 0 "
                         "AND PolicyID = {}",
                         policy.id),
             [&](const Statement& row) {
               const auto source = row.optional_text(0);
               example = example && source == "@example.net";
               outside = outside || !sources.is_inside(source);
               bounces = bounces || Sources::catches_bounces(source);
               login = login || sources.asks_for_login(source);
               for (int side = 0; side < 2 && !policy.quotas.empty(); ++side) {
                 for (const char* name : {"internal_domains", "internal_ips"}) {
                   const bool there =
                       row.text(side).find(fmt::format("%{}", name)) != std::string_view::npos;
                   if (there) used_groups.insert(name);
                 }
               }
             });
    for (const policyd::Quota& quota : policy.quotas) {
      for (const policyd::QuotaLimit& limit : quota.limits) {
        checked.by_size = checked.by_size ||
                          (!example && limit.type == policyd::LimitType::message_cumulative_size);
      }
      if (!is_by_sender(quota) || quota.limits.empty()) continue;
      checked.by_sender = checked.by_sender || login;
      if (quota.verdict.kind == policyd::RowVerdict::Kind::none) continue;  // it only watches
      const std::string what =
          fmt::format("quota {} of policy {} ({})", quota.id, policy.id, escaped(policy.name));
      if (outside) {
        findings.wrong("rules.outside",
                       what + " counts by envelope sender, and mail from outside counts too",
                       "whoever names one of your users as sender uses up that user's limit, and "
                       "his own mail is refused",
                       fmt::format("carbonio-limits send {} && carbonio-limits remove {}",
                                   spec_of(quota), quota.id));
      }
      if (bounces) {
        findings.wrong(
            "rules.bounces",
            what +
                " catches mail of the whole world, with all bounces in one counter "
                "(Sender:<>)",
            "incoming mail is limited like outgoing, and a wave of bounces shuts out "
            "all further ones",
            fmt::format("carbonio-limits send {} --everyone && carbonio-limits remove {}",
                        spec_of(quota), quota.id));
      }
    }
  }
  check_example_groups(question, tables, used_groups, findings);
  if (question.daemon.config.quotas && !findings.is_wrong("rules.outside") &&
      !findings.is_wrong("rules.bounces")) {
    findings.well("rules.senders",
                  "no limit can be used up by strangers who name a user as sender");
  }
}

}  // namespace limits
