// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: limits by envelope sender. Postfix asks before it has verified the sender, so such a
// limit must also restrict where the mail comes from.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::ItemKind;
using policyd::ListItem;
using policyd::Side;
using policyd::sql::Statement;

class Sources {
 public:
  explicit Sources(const Tables& tables) : groups_(read_group_members(tables)) {}

  // Whether only authenticated mail, or mail from named networks, matches.
  [[nodiscard]] bool is_inside(const std::optional<std::string>& source) const {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::any_of(items.begin(), items.end(), [&](std::string_view item) {
      std::set<std::string> visited;
      return item_is_inside(item, visited);
    });
  }

  // Whether mail of a user who is logged in can match.
  [[nodiscard]] static bool permits_logins(const std::optional<std::string>& source) {
    if (policyd::matches_everything(source)) return true;
    const auto items = policyd::list_items(*source);
    return std::none_of(items.begin(), items.end(), [](std::string_view text) {
      const ListItem item = parse_item(text, Side::source);
      return item.kind == ItemKind::sasl_user && item.negated == (item.text != "-");
    });
  }

  // Whether it is for bounces and nothing else, as the admin wrote.
  [[nodiscard]] static bool names_bounces(const std::optional<std::string>& source) {
    if (policyd::matches_everything(source)) return false;
    const auto items = policyd::list_items(*source);
    return std::find(items.begin(), items.end(), "@") != items.end();
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
    if (item.text == "internal_ips") return true;  // check_groups examines its members
    const auto group = groups_.find(item.text);
    // No mail matches a group that is empty, missing, or only contains itself.
    if (group == groups_.end() || !visited.insert(item.text).second) return true;
    return std::all_of(group->second.begin(), group->second.end(),
                       [&](const std::string& member) { return item_is_inside(member, visited); });
  }

  GroupMembers groups_;
};

bool is_by_sender(const policyd::Quota& quota) {
  if (!quota.track) return false;
  const auto method = quota.track->method;
  return method == policyd::TrackMethod::sender_address ||
         method == policyd::TrackMethod::sender_domain ||
         method == policyd::TrackMethod::sender_user;
}

// Which mail the members of a policy match.
struct MatchedMail {
  std::vector<PolicyMember> outside;  // match mail that is neither authenticated nor from a network
  bool bounces = false;
  bool login = false;
  bool example = true;  // the policy that every fresh database has
};

MatchedMail examine_members(const Sources& sources, const std::vector<PolicyMember>& members) {
  MatchedMail out;
  for (const PolicyMember& member : members) {
    out.example = out.example && member.source == "@example.net";
    if (!sources.is_inside(member.source) && !Sources::names_bounces(member.source)) {
      out.outside.push_back(member);
      out.bounces = out.bounces || Sources::catches_bounces(member.source);
    }
    out.login = out.login || Sources::permits_logins(member.source);
  }
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

// Whether mail with a login matches whatever its sender and recipient, the empty sender included.
bool matches_empty_sender(const PolicyMember& member) {
  if (!policyd::matches_everything(member.destination)) return false;
  if (policyd::matches_everything(member.source)) return true;
  const auto items = policyd::list_items(*member.source);
  return !items.empty() && std::all_of(items.begin(), items.end(), [](std::string_view text) {
    const ListItem item = parse_item(text, Side::source);
    if (item.kind == ItemKind::sasl_user) return item.negated != (item.text == "*");
    if (item.kind == ItemKind::empty_sender) return !item.negated;
    return item.negated && item.kind != ItemKind::error;
  });
}

// Whether mail with a login matches if its sender is an own one.
bool matches_own_senders(const PolicyMember& member) {
  if (policyd::matches_everything(member.source)) return false;
  bool own = false;
  for (const std::string_view text : policyd::list_items(*member.source)) {
    const ListItem item = parse_item(text, Side::source);
    if (item.negated) continue;
    const bool group = item.kind == ItemKind::group && item.text == "internal_domains";
    if (!group && !(item.kind == ItemKind::sasl_user && item.text == "*")) return false;
    own = own || group;
  }
  return own;
}

bool counts_and_refuses(const policyd::Quota& quota) {
  return quota.verdict.kind != policyd::RowVerdict::Kind::none &&
         std::any_of(quota.limits.begin(), quota.limits.end(),
                     [](const auto& limit) { return !policyd::is_of_each_message(limit.type); });
}

// A limit by account beside the one by sender, with the same figures. Users who may send more than
// others need one of their own by login too, and only the admin knows their logins.
Fix fix_for_empty_sender(const RuleRows& rows, std::int64_t by_sender) {
  const auto found = rows.limits.find(by_sender);
  auto wanted = found == rows.limits.end() ? std::nullopt : wanted_of(*found->second);
  if (!wanted || wanted->per != Per::user || !found->second->except.empty()) {
    return advice(
        "carbonio-limits send LIMIT --per account, which counts by login name, and for "
        "users with a limit of their own: carbonio-limits send LIMIT --login NAME");
  }
  WantedLimit by_account;
  by_account.target.who = Who::anyone;
  by_account.per = Per::account;
  by_account.rates = std::move(wanted->rates);
  by_account.verdict = wanted->verdict;
  return command("carbonio-limits " + line_of(by_account));
}

// Set if a limit by sender is for all users, and none counts what they send with the empty sender.
std::optional<Fix> for_empty_sender(const RuleRows& rows) {
  std::optional<std::int64_t> by_sender;
  for (const policyd::Policy& policy : rows.rules.policies) {
    const auto& members = rows.members_of(policy.id);
    for (const policyd::Quota& quota : policy.quotas) {
      if (!counts_and_refuses(quota)) continue;
      if (std::any_of(members.begin(), members.end(), matches_empty_sender)) return std::nullopt;
      if (is_by_sender(quota) && !by_sender &&
          std::any_of(members.begin(), members.end(), matches_own_senders)) {
        by_sender = quota.id;
      }
    }
  }
  if (!by_sender) return std::nullopt;
  return fix_for_empty_sender(rows, *by_sender);
}

// The limits of a policy that count by sender, mail from outside included: one finding, since one
// fix is for all of them.
struct Outside {
  std::vector<std::int64_t> quotas;
  std::vector<std::string> limits;  // their IDs, as `list` shows them
  bool by_domain = false;
};

void find_outside(const RuleRows& rows, const policyd::Policy& policy, const Outside& found,
                  const MatchedMail& mail, Findings& findings) {
  const std::string what =
      fmt::format("{} {} of policy {} ({}) {}", of_number(found.limits.size(), "limit", "limits"),
                  join_with_and(found.limits), policy.id, escaped(policy.name),
                  of_number(found.limits.size(), "counts", "count"));
  std::string why =
      "anyone can use up a user's limit by forging that user as sender; then the "
      "user's own mail is refused";
  if (found.by_domain) why += "; and all senders of a large provider share one counter";
  const Fix fix = fix_for_outside(rows, policy, found.quotas, mail.outside);
  if (!mail.bounces) {
    findings.wrong(problem::kOutside, what + " by envelope sender, including mail from outside",
                   why, fix);
    return;
  }
  findings.wrong(
      problem::kBounces,
      what +
          " all incoming mail by envelope sender, with all bounces in one counter "
          "(Sender:<>)",
      "incoming mail is limited like outgoing mail, a wave of bounces blocks all further "
      "bounces, and " +
          why,
      fix);
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

void check_senders(const RuleRows& rows, RulesChecked& checked, Findings& findings) {
  const Sources sources{rows.tables};
  const auto intended = created_with_anyone(rows.tables, rows.all);
  checked.by_account = refuses_by_account(rows.all);
  checked.for_empty_sender = for_empty_sender(rows);
  std::set<std::int64_t> reported;
  for (const policyd::Policy& policy : rows.rules.policies) {
    const MatchedMail mail = examine_members(sources, rows.members_of(policy.id));
    checked.by_size = checked.by_size || counts_sizes(policy, mail.example);
    Outside found;
    for (const policyd::Quota& quota : policy.quotas) {
      if (!is_by_sender(quota) || quota.limits.empty()) continue;
      checked.by_sender = checked.by_sender || mail.login;
      if (quota.verdict.kind == policyd::RowVerdict::Kind::none) continue;  // it only monitors
      if (mail.outside.empty()) continue;
      const auto limit = intended.find(quota.id);
      if (limit == intended.end()) {
        found.quotas.push_back(quota.id);
        const std::string id = fmt::format("{}", rows.listed_id(quota.id));
        if (found.limits.empty() || found.limits.back() != id) found.limits.push_back(id);
        found.by_domain =
            found.by_domain || quota.track->method == policyd::TrackMethod::sender_domain;
      } else if (reported.insert(limit->second).second) {
        findings.well("rules.anyone",
                      fmt::format("limit {} also counts mail from outside, as --anyone requested: "
                                  "outsiders can use it up",
                                  limit->second));
      }
    }
    if (!found.quotas.empty()) find_outside(rows, policy, found, mail, findings);
  }
  if (rows.question.daemon.config.quotas && reported.empty() &&
      !findings.is_wrong("rules.outside") && !findings.is_wrong("rules.bounces")) {
    findings.well("rules.senders",
                  "no limit can be used up by outsiders who forge a user as sender");
  }
}

}  // namespace limits
