// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: what the rules do to three ordinary mails of each own domain: one from a stranger to a
// user here, one of a user who is logged in from elsewhere, and one of a user in this server's
// networks. A limit that is passed over there is hardly meant so.
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::ItemKind;
using policyd::Policy;

// A user of each own domain, and the address of each own network; one at least.
struct Here {
  std::vector<std::string> users;
  std::vector<std::string> clients;
};

Here find_here(const GroupMembers& groups) {
  constexpr std::size_t kMaxUsers = 200;
  constexpr std::size_t kMaxClients = 20;
  Here here;
  const auto take = [&](const char* group, std::vector<std::string>& into, std::size_t most,
                        auto of_item) {
    const auto found = groups.find(group);
    if (found == groups.end()) return;
    for (const std::string& member : found->second) {
      if (into.size() == most) return;
      std::string one = of_item(policyd::parse_item(member, policyd::Side::source));
      if (!one.empty()) into.push_back(std::move(one));
    }
  };
  take("internal_domains", here.users, kMaxUsers, [](const policyd::ListItem& item) {
    const bool plain = item.kind == ItemKind::address && !item.negated &&
                       item.text.front() == '@' && item.text.find('*') == std::string::npos;
    return plain ? "user" + item.text : std::string{};
  });
  take("internal_ips", here.clients, kMaxClients, [](const policyd::ListItem& item) {
    const bool plain = item.kind == ItemKind::client_network && !item.negated;
    return plain ? item.network.address.to_short_string() : std::string{};
  });
  if (here.users.empty()) here.users.emplace_back("user@example.org");
  if (here.clients.empty()) here.clients.emplace_back("10.0.0.1");
  return here;
}

class Samples {
 public:
  explicit Samples(const RuleRows& rows)
      : rows_(rows), here_(find_here(read_group_members(rows.tables))) {}

  [[nodiscard]] const Here& here() const { return here_; }

  // The policies that match, in order.
  std::vector<const Policy*> from_stranger(const std::string& user) {
    return match({}, kStranger, user, kElsewhere);
  }
  std::vector<const Policy*> logged_in(const std::string& user) {
    return match(user, user, kStranger, kElsewhere);
  }
  std::vector<const Policy*> in_network(const std::string& user, const std::string& client) {
    return match({}, user, kStranger, client);
  }

 private:
  static constexpr const char* kStranger = "someone@elsewhere.invalid";
  static constexpr const char* kElsewhere = "198.51.100.77";

  std::vector<const Policy*> match(const std::optional<std::string>& login,
                                   const std::string& sender, const std::string& recipient,
                                   const std::string& client) {
    policyd::Request request;
    request.state = policyd::ProtocolState::rcpt;
    request.sender = sender;
    request.recipient = recipient;
    if (login) request.sasl_username = *login;
    request.client_address = policyd::IpAddress::parse(client).value_or(policyd::IpAddress{});
    request.client_name = request.reverse_client_name = "unknown";
    std::vector<const Policy*> out;
    for (const std::uint32_t index : matcher_.match(*rows_.rules.index, request)) {
      out.push_back(&rows_.rules.policies[index]);
    }
    return out;
  }

  const RuleRows& rows_;
  Here here_;
  policyd::Matcher matcher_;
};

bool has(const std::vector<const Policy*>& policies, const Policy* policy) {
  return std::find(policies.begin(), policies.end(), policy) != policies.end();
}

std::string name_of_policy(const Policy& policy) {
  return fmt::format("policy {} ({})", policy.id, escaped(policy.name));
}

// The row that lets the mail through before Quotas runs; null if there is none.
const policyd::AccessControlRow* permitting_row(const std::vector<const Policy*>& policies,
                                                const Policy*& owner) {
  for (const Policy* policy : policies) {
    if (policy->access_control.empty()) continue;
    const policyd::AccessControlRow& row = policy->access_control.front();
    if (row.verdict.kind == policyd::RowVerdict::Kind::none) continue;
    owner = policy;
    return row.verdict.action == policyd::Action::ok ? &row : nullptr;
  }
  return nullptr;
}

void check_permitted(const RuleRows& rows, std::string_view mail,
                     const std::vector<const Policy*>& policies, std::set<std::int64_t>& reported,
                     Findings& findings) {
  const Policy* owner = nullptr;
  const auto* row = permitting_row(policies, owner);
  if (row == nullptr || !rows.question.daemon.config.access_control) return;
  if (reported.contains(row->id)) return;
  for (const PolicyMember& member : rows.members_of(owner->id)) {
    // check_order reports one for all mail.
    if (policyd::matches_everything(member.source) &&
        policyd::matches_everything(member.destination)) {
      return;
    }
  }
  std::vector<std::string> limits;
  for (const Policy* policy : policies) {
    for (const policyd::Quota& quota : policy->quotas) {
      const std::string id = fmt::format("{}", rows.listed_id(quota.id));
      if (limits.empty() || limits.back() != id) limits.push_back(id);
    }
  }
  if (limits.empty()) return;
  reported.insert(row->id);
  findings.wrong(
      problem::kPermitted,
      fmt::format("access_control {} of {} lets {} through (OK) before limit {} is asked", row->id,
                  name_of_policy(*owner), mail, join_with_and(limits)),
      "OK is final, so that mail is neither counted nor limited",
      rows.sql({fmt::format("UPDATE {} SET Verdict = 'PASS' WHERE ID = {}",
                            rows.table("access_control"), row->id)}));
}

bool refuses_names(const policyd::CheckHeloRow& row) {
  const auto on = [](const policyd::OptionalInteger& value) { return value.value_or(0) == 1; };
  return on(row.use_blacklist) || on(row.use_hrp) || on(row.reject_invalid) || on(row.reject_ip) ||
         on(row.reject_unresolvable);
}

bool has_only_helo(const Policy& policy) {
  return policy.quotas.empty() && policy.access_control.empty() && policy.check_spf.empty() &&
         policy.greylisting.empty() && policy.accounting.empty();
}

Fix except_logins(const RuleRows& rows, const Policy& policy) {
  std::vector<std::string> statements;
  for (const PolicyMember& member : rows.members_of(policy.id)) {
    std::string source = "$-";
    if (!policyd::matches_everything(member.source)) {
      const auto items = policyd::list_items(*member.source);
      if (std::find(items.begin(), items.end(), "$-") != items.end()) continue;
      source = *member.source + ",$-";
    }
    statements.push_back(fmt::format("UPDATE {} SET Source = {} WHERE ID = {}",
                                     rows.table("policy_members"), sql_literal(source), member.id));
  }
  if (!has_only_helo(policy) || statements.empty()) {
    return advice("move the row of checkhelo to a policy whose Source contains $- (not logged in)");
  }
  return rows.sql(statements);
}

void check_helo_of_logins(const RuleRows& rows, const std::vector<const Policy*>& policies,
                          Findings& findings) {
  if (!rows.question.daemon.config.check_helo) return;
  for (const Policy* policy : policies) {
    for (const policyd::CheckHeloRow& row : policy->check_helo) {
      if (!refuses_names(row)) continue;
      findings.wrong(problem::kHeloOfLogins,
                     fmt::format("checkhelo {} of {} also checks users who are logged in", row.id,
                                 name_of_policy(*policy)),
                     "mail programs name themselves as they like, so their mail is refused",
                     except_logins(rows, *policy));
      break;
    }
  }
}

// Adds a member for users who are logged in, wherever they are, beside each for the networks.
Fix add_logins(const RuleRows& rows, const Policy& policy) {
  std::vector<std::string> statements;
  for (const PolicyMember& member : rows.members_of(policy.id)) {
    if (!member.source) continue;
    std::string source;
    bool networks = false;
    for (const std::string_view item : policyd::list_items(*member.source)) {
      networks = networks || item == "%internal_ips";
      source += (source.empty() ? "" : ",");
      source += item == "%internal_ips" ? "$*" : std::string{item};
    }
    if (!networks) continue;
    statements.push_back(
        fmt::format("INSERT INTO {0} (PolicyID, Source, Destination) SELECT PolicyID, {1}, "
                    "Destination FROM {0} "
                    "WHERE ID = {2}",
                    rows.table("policy_members"), sql_literal(source), member.id));
  }
  const bool others = !policy.access_control.empty() || !policy.check_helo.empty() ||
                      !policy.check_spf.empty() || !policy.greylisting.empty() ||
                      !policy.accounting.empty();
  if (statements.empty() || others) {
    return advice("add a member whose Source contains $* (logged in) instead of %internal_ips");
  }
  return rows.sql(statements);
}

// Limits on what users here send that they escape by logging in from elsewhere.
void check_roaming(const RuleRows& rows, const std::vector<const Policy*>& here,
                   const std::vector<const Policy*>& roaming, Findings& findings) {
  const auto limits = [](const Policy* policy) {
    return std::any_of(policy->quotas.begin(), policy->quotas.end(), [](const auto& quota) {
      return !quota.limits.empty() && quota.verdict.kind != policyd::RowVerdict::Kind::none;
    });
  };
  if (std::any_of(roaming.begin(), roaming.end(), limits)) return;
  for (const Policy* policy : here) {
    if (!limits(policy) || has(roaming, policy)) continue;
    const auto& members = rows.members_of(policy->id);
    const bool networks = std::any_of(members.begin(), members.end(), [](const auto& member) {
      return member.source && member.source->find("%internal_ips") != std::string::npos &&
             member.source->find("%internal_domains") != std::string::npos;
    });
    if (!networks) continue;
    findings.wrong(problem::kRoaming,
                   fmt::format("the limits of {} do not apply to users who are logged in from "
                               "outside this server's networks",
                               name_of_policy(*policy)),
                   "both items of its Source must match, and a hacked account is used from "
                   "elsewhere",
                   add_logins(rows, *policy));
  }
}

std::string evident_name_of(const policyd::Quota& quota) {
  const std::string track = lower_cased(quota.name.substr(0, quota.name.find(':')));
  if (!quota.track) return {};
  const auto method = quota.track->method;
  const bool recipient = method == policyd::TrackMethod::recipient_address ||
                         method == policyd::TrackMethod::recipient_domain ||
                         method == policyd::TrackMethod::recipient_user;
  const bool sender = method == policyd::TrackMethod::sender_address ||
                      method == policyd::TrackMethod::sender_domain ||
                      method == policyd::TrackMethod::sender_user;
  if (recipient && track.starts_with("sender")) return "senders";
  if (sender && track.starts_with("recipient")) return "recipients";
  return {};
}

void check_quota_names(const RuleRows& rows, Findings& findings) {
  for (const Policy& policy : rows.rules.policies) {
    for (const policyd::Quota& quota : policy.quotas) {
      const std::string named_for = evident_name_of(quota);
      if (named_for.empty()) continue;
      std::string stored;
      rows.tables.each("SELECT Track FROM {p}quotas WHERE ID = ?", {quota.id},
                       [&](const policyd::sql::Statement& row) { stored = row.text(0); });
      findings.wrong(
          problem::kNamedOtherwise,
          fmt::format("quota {} is named for {} ('{}'), but its Track is {}", quota.id, named_for,
                      shown(quota.name), escaped(stored)),
          "it counts something else than its name says",
          advice(fmt::format(
              "if the name is right, the quota needs a Track of {}; if the Track is: {}", named_for,
              sqlite_command(rows.question, {fmt::format("UPDATE {} SET Name = Track WHERE ID = {}",
                                                         rows.table("quotas"), quota.id)}))));
    }
  }
}

}  // namespace

void check_samples(const RuleRows& rows, Findings& findings) {
  check_quota_names(rows, findings);
  if (!rows.rules.index) return;
  Samples samples{rows};
  const std::vector<std::string>& users = samples.here().users;
  const std::vector<std::string>& clients = samples.here().clients;
  std::set<std::int64_t> reported;  // one finding for a row
  for (const std::string& user : users) {
    check_permitted(rows, "mail from outside to this server's users", samples.from_stranger(user),
                    reported, findings);
    check_permitted(rows, "mail of users who are logged in", samples.logged_in(user), reported,
                    findings);
    for (const std::string& client : clients) {
      check_permitted(rows, "mail from this server's networks", samples.in_network(user, client),
                      reported, findings);
    }
  }
  const auto logged_in = samples.logged_in(users.front());
  check_helo_of_logins(rows, logged_in, findings);
  check_roaming(rows, samples.in_network(users.front(), clients.front()), logged_in, findings);
}

}  // namespace limits
