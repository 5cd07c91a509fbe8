// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/example_groups.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/wildcard.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kOwnDomains = "internal_domains";

// The enabled members, at most `max`.
Result<std::vector<std::string>> members_of_group(const Tables& tables, std::string_view group,
                                                  std::int64_t max) {
  std::vector<std::string> out;
  const auto done = tables.each(
      "SELECT m.Member FROM {p}policy_group_members m JOIN {p}policy_groups g "
      "ON g.ID = m.PolicyGroupID WHERE g.Name = ? AND g.Disabled = 0 AND m.Disabled = 0 "
      "ORDER BY m.Member LIMIT ?",
      {std::string{group}, max},
      [&](const policyd::sql::Statement& row) { out.emplace_back(row.text(0)); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

// Whether a member may contain the domain's users. Nested groups are not examined and count as yes.
bool may_contain(std::string_view member, std::string_view domain) {
  const auto items = policyd::member_items(member);
  return std::any_of(items.begin(), items.end(), [&](std::string_view item) {
    const std::string text = policyd::address_form(item);
    return text.front() == '%' ||
           (text.front() == '@' &&
            policyd::wildcard_match(std::string_view{text}.substr(1), domain));
  });
}

}  // namespace

GroupRows read_group(const Tables& tables, std::string_view name) {
  GroupRows out;
  tables.each("SELECT ID, Disabled = 0 FROM {p}policy_groups WHERE Name = ?", {std::string{name}},
              [&](const policyd::sql::Statement& row) {
                out.id = row.integer(0);
                out.enabled = row.integer(1) != 0;
              });
  if (!out.id) return out;
  tables.each(fmt::format("SELECT count(*), ifnull(sum({}), 0), ifnull(sum(ifnull(Comment = ?, "
                          "0)), 0) FROM {{p}}policy_group_members WHERE Disabled = 0 AND Member <> "
                          "'' AND PolicyGroupID = ?",
                          carbonio::kExampleRows),
              {std::string{carbonio::kOwnedComment}, *out.id},
              [&](const policyd::sql::Statement& row) {
                out.members = static_cast<std::size_t>(row.integer(0));
                out.examples = static_cast<std::size_t>(row.integer(1));
                out.synchronised = static_cast<std::size_t>(row.integer(2));
              });
  return out;
}

std::string how_to_fill(std::string_view own_group) {
  return own_group == kOwnDomains
             ? "name each domain of this server in place of DOMAIN: 'carbonio-limits hook "
               "domain-created DOMAIN'"
             : "name each network of this server in place of NETWORK, 10.0.0.0/8 too if it is one: "
               "'carbonio-limits hook network-added NETWORK'";
}

std::vector<std::string> example_groups(const Tables& tables, const WantedLimit& wanted,
                                        bool carbonio) {
  std::vector<std::string> notes;
  for (const std::string_view group : carbonio::kOwnGroups) {
    const auto members = members_of(wanted.direction, wanted.target, wanted.per);
    const bool needed = std::any_of(members.begin(), members.end(), [&](const MemberText& member) {
      const std::string item = fmt::format("%{}", group);
      return member.source.value_or("").find(item) != std::string::npos ||
             member.destination.value_or("").find(item) != std::string::npos;
    });
    const GroupRows found = read_group(tables, group);
    if (!needed || found.members != found.examples) continue;
    notes.push_back(fmt::format(
        "group {} {}, so the limit does not cover this server's own {} yet; {}", group,
        found.members == 0 ? "is empty" : "still contains only the example rows",
        group == kOwnDomains ? "domains" : "networks",
        carbonio ? "to fill it from Carbonio: 'carbonio-limits sync'" : how_to_fill(group)));
  }
  return notes;
}

namespace {

bool nearly_a_member(const std::vector<std::string>& members, std::string_view domain) {
  std::vector<std::string_view> known;
  for (const std::string_view member : members) {
    if (member.starts_with('@')) known.push_back(member.substr(1));
  }
  return policyd::nearest(domain, known).has_value();
}

}  // namespace

Result<std::string> foreign_domains(const Tables& tables, const std::vector<WantedLimit>& wanted,
                                    bool carbonio) {
  std::vector<std::string> domains;
  std::vector<std::string> of_logins;
  for (const WantedLimit& limit : wanted) {
    const Target& target = limit.target;
    // The sender may be anyone's.
    if (target.from_anywhere || !target.from.empty()) continue;
    if (target.who == Who::domain) domains.push_back(target.name);
    if (target.who == Who::user) domains.emplace_back(policyd::domain_of(target.name));
    if (target.who == Who::login) of_logins.emplace_back(policyd::domain_of(target.name));
  }
  if (domains.empty() && of_logins.empty()) return std::string{};
  const auto members = members_of_group(tables, kOwnDomains, -1);
  if (!members) return tl::unexpected{members.error()};
  // A login may be in any domain, unless that is nearly an own one.
  for (const std::string& domain : of_logins) {
    if (nearly_a_member(*members, domain)) domains.push_back(domain);
  }
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  std::erase_if(domains, [&](const std::string& domain) {
    return std::any_of(members->begin(), members->end(),
                       [&](const std::string& member) { return may_contain(member, domain); });
  });
  if (domains.empty()) return std::string{};
  constexpr std::size_t kMaxNamed = 5;
  const std::size_t others = domains.size() - std::min(domains.size(), kMaxNamed);
  if (others != 0) {
    domains.resize(kMaxNamed);
    domains.push_back(fmt::format("{} more", others));
  }
  const bool outside_missing = std::any_of(wanted.begin(), wanted.end(), [](const auto& limit) {
    return limit.direction == Direction::send && !limit.target.from_anywhere &&
           limit.target.from.empty() && !is_account(limit.per) &&
           (limit.target.who == Who::domain || limit.target.who == Who::user);
  });
  return fmt::format(
      "{} {} not among this server's own domains (group {}); if {} should be: 'carbonio-limits "
      "{}'{}",
      join_with_and(domains), of_number(domains.size(), "is", "are"), kOwnDomains,
      of_number(domains.size(), "it", "they"),
      carbonio
          ? "sync"
          : fmt::format("hook domain-created {}", domains.size() == 1 ? domains.front() : "DOMAIN"),
      outside_missing ? ". Mail from outside is not counted; with --anyone it is" : "");
}

}  // namespace limits
