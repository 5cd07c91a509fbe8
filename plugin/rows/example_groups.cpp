// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/example_groups.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/mail_address.hpp"
#include "daemon/base/wildcard.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kOwnDomains = "internal_domains";
constexpr std::string_view kOwnNetworks = "internal_ips";

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

Result<std::vector<std::string>> example_groups(const Tables& tables, const WantedLimit& wanted) {
  struct Example {
    std::string_view group;
    std::string_view what;
    std::vector<std::string> rows;
    bool needed;
  };
  const std::vector<Example> examples = {
      {kOwnDomains,
       "this server's own domains",
       {"@example.com", "@example.org"},
       wanted.target.who == Who::everyone ||
           (wanted.target.who == Who::anyone && wanted.per == Per::account)},
      {kOwnNetworks,
       "this server's own networks",
       {"10.0.0.0/8"},
       wanted.direction == Direction::send && wanted.per != Per::login &&
           (wanted.target.who != Who::anyone || wanted.per == Per::account)}};
  std::vector<std::string> notes;
  for (const Example& example : examples) {
    if (!example.needed) continue;
    const auto found =
        members_of_group(tables, example.group, static_cast<std::int64_t>(example.rows.size()) + 1);
    if (!found) return tl::unexpected{found.error()};
    if (found->empty()) {
      notes.push_back(fmt::format("group {} is empty, so the limit does not cover {} yet",
                                  example.group, example.what));
    } else if (*found == example.rows) {
      notes.push_back(
          fmt::format("group {} still contains only the example rows ({}), so the limit "
                      "does not cover {} yet",
                      example.group, join_with_and(*found), example.what));
    }
  }
  return notes;
}

Result<std::string> foreign_domains(const Tables& tables, const std::vector<WantedLimit>& wanted) {
  std::vector<std::string> domains;
  for (const WantedLimit& limit : wanted) {
    const Target& target = limit.target;
    if (target.who == Who::domain) domains.push_back(target.name);
    if (target.who == Who::user) domains.emplace_back(policyd::domain_of(target.name));
  }
  if (domains.empty()) return std::string{};
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  const auto members = members_of_group(tables, kOwnDomains, -1);
  if (!members) return tl::unexpected{members.error()};
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
      "{} {} among this server's own domains (group {}); 'carbonio-limits sync' adds new domains{}",
      join_with_and(domains), domains.size() == 1 ? "is not" : "are not", kOwnDomains,
      outside_missing ? ". Mail from outside is not counted; with --anyone it is" : "");
}

}  // namespace limits
