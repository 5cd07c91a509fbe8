// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: lists that are valid but hardly mean what was typed: '@' is the empty sender and not
// every address, 'example.org' a client's host name and not a domain, a network is no domain. Where
// it may be meant after all, a word in the row's Comment says so.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::ItemKind;
using policyd::Side;
using policyd::sql::Statement;

struct ListRow {
  std::string_view table;
  std::string_view column;
  std::int64_t id = 0;
  std::string text;
  std::string comment;
};

std::string update_list(const RuleRows& rows, const ListRow& row, std::string_view column,
                        std::string_view value) {
  return sqlite_command(rows.question,
                        {fmt::format("UPDATE {} SET {} = {} WHERE ID = {}", rows.table(row.table),
                                     column, sql_literal(value), row.id)});
}

// A name such as example.org; one of a host has more labels, a star or a dot at its beginning.
bool looks_like_domain(std::string_view host) {
  return std::count(host.begin(), host.end(), '.') == 1 && host.find('*') == std::string_view::npos;
}

void examine_list(const RuleRows& rows, const ListRow& row, Findings& findings) {
  const std::string comment = lower_cased(row.comment);
  std::string plain;  // with the domains as domains
  std::string host;
  bool empty_sender = false;
  for (const std::string_view text : policyd::list_items(row.text)) {
    const auto item = policyd::parse_item(text, Side::source);
    const bool domain = item.kind == ItemKind::host && looks_like_domain(item.text);
    if (domain) host = item.text;
    empty_sender = empty_sender || (item.kind == ItemKind::empty_sender && !item.negated);
    plain += (plain.empty() ? "" : ",");
    plain += domain ? (item.negated ? "!@" : "@") + item.text : std::string{text};
  }
  if (empty_sender && comment.find("bounce") == std::string::npos) {
    findings.wrong(problem::kEmptySender,
                   fmt::format("{} {}: '@' in its {} is the empty sender: it matches bounces only",
                               row.table, row.id, row.column),
                   "mail with a sender does not match",
                   advice(fmt::format("if a domain is meant, its name is missing after the '@'; if "
                                      "bounces are: {}",
                                      update_list(rows, row, "Comment", "bounces"))));
  }
  if (!host.empty() && comment.find("host") == std::string::npos) {
    findings.wrong(
        problem::kHostName,
        fmt::format("{} {}: '{}' in its {} is the host name of a client, not a domain of senders",
                    row.table, row.id, escaped(host), row.column),
        "mail from that domain does not match",
        advice(fmt::format(
            "if the host is meant, say so in the Comment ('host'); if the domain is: {}",
            update_list(rows, row, row.column, plain))));
  }
}

void check_member_lists(const RuleRows& rows, Findings& findings) {
  rows.tables.each(
      "SELECT m.ID, m.Source, m.Comment FROM {p}policy_members m JOIN {p}policies p ON p.ID = "
      "m.PolicyID WHERE m.Disabled = 0 AND p.Disabled = 0 AND (m.Source LIKE '%.%' OR m.Source "
      "LIKE '%@%')",
      {}, [&](const Statement& row) {
        examine_list(rows,
                     {"policy_members", "Source", row.integer(0), std::string{row.text(1)},
                      std::string{row.text(2)}},
                     findings);
      });
}

// Whether the group has the member already, so that the row is to go instead of being changed.
Fix move_or_delete(const RuleRows& rows, std::int64_t id, std::string_view group,
                   const std::string& member) {
  const bool there =
      rows.tables
          .has_row(
              "SELECT 1 FROM {p}policy_group_members m JOIN {p}policy_groups g ON g.ID = "
              "m.PolicyGroupID WHERE g.Name = ? AND m.Member = ? AND m.Disabled = 0",
              {std::string{group}, member})
          .value_or(false);
  const std::string table = rows.table("policy_group_members");
  if (there) return rows.sql({fmt::format("DELETE FROM {} WHERE ID = {}", table, id)});
  return rows.sql({fmt::format(
      "UPDATE {} SET PolicyGroupID = (SELECT ID FROM {} WHERE Name = {}), Member = {} WHERE ID = "
      "{}",
      table, rows.table("policy_groups"), sql_literal(group), sql_literal(member), id)});
}

void examine_own_domain(const RuleRows& rows, std::int64_t id, std::string_view text,
                        Findings& findings) {
  const auto item = policyd::parse_item(text, Side::source);
  if (item.kind == ItemKind::host && !item.negated && item.text.front() != '.') {
    findings.wrong(
        problem::kBareDomain,
        fmt::format("policy_group_members {}: '{}' in group internal_domains is the host "
                    "name of a client, not a domain",
                    id, escaped(text)),
        "mail from and to that domain does not count as this server's own",
        move_or_delete(rows, id, "internal_domains", "@" + item.text));
  } else if (item.kind == ItemKind::client_network && !item.negated) {
    findings.wrong(problem::kNetworkAmongDomains,
                   fmt::format("policy_group_members {}: '{}' in group internal_domains is a "
                               "network",
                               id, escaped(text)),
                   "no recipient is in it, and mail from it counts as sent by this server's users",
                   move_or_delete(rows, id, "internal_ips", std::string{text}));
  }
}

void examine_own_network(const RuleRows& rows, std::int64_t id, std::string_view text,
                         Findings& findings) {
  const auto item = policyd::parse_item(text, Side::source);
  if (item.kind != ItemKind::address || item.negated) return;
  const Fix moved = move_or_delete(rows, id, "internal_domains", std::string{text});
  findings.wrong(
      problem::kDomainAmongNetworks,
      fmt::format("policy_group_members {}: '{}' in group internal_ips is no network", id,
                  escaped(text)),
      "anyone can use it as sender, and then counts as one of this server's own networks",
      advice(fmt::format(
          "if it is a domain of this server: {}; if not: {}", moved.text,
          sqlite_command(rows.question, {fmt::format("DELETE FROM {} WHERE ID = {}",
                                                     rows.table("policy_group_members"), id)}))));
}

// Only rows with one item, as everyone writes them.
void check_own_groups(const RuleRows& rows, Findings& findings) {
  rows.tables.each(
      "SELECT m.ID, m.Member, g.Name, m.Comment FROM {p}policy_group_members m JOIN "
      "{p}policy_groups g ON g.ID = m.PolicyGroupID WHERE m.Disabled = 0 AND g.Disabled = 0 AND "
      "instr(m.Member, '%') = 0",
      {}, [&](const Statement& row) {
        const auto items = policyd::member_items(row.text(1));
        if (items.size() != 1) return;
        const std::string item{items.front()};
        const std::string_view group = row.text(2);
        if (group == "internal_domains") {
          examine_own_domain(rows, row.integer(0), item, findings);
        } else if (group == "internal_ips") {
          examine_own_network(rows, row.integer(0), item, findings);
        } else {
          examine_list(
              rows,
              {"policy_group_members", "Member", row.integer(0), item, std::string{row.text(3)}},
              findings);
        }
      });
}

// Whether the group has networks and logins only, none of which can be a recipient.
bool has_no_recipients(const std::vector<std::string>& members) {
  return !members.empty() && std::all_of(members.begin(), members.end(), [](const auto& member) {
    const auto item = policyd::parse_item(member, Side::source);
    return !item.negated &&
           (item.kind == ItemKind::client_network || item.kind == ItemKind::peer_network ||
            item.kind == ItemKind::sasl_user);
  });
}

// Groups of networks or logins as Destination, where only addresses match.
void check_destinations(const RuleRows& rows, Findings& findings) {
  const GroupMembers groups = read_group_members(rows.tables);
  rows.tables.each(
      "SELECT m.ID, m.Destination FROM {p}policy_members m JOIN {p}policies p ON p.ID = m.PolicyID "
      "WHERE m.Disabled = 0 AND p.Disabled = 0 AND instr(m.Destination, '%') <> 0",
      {}, [&](const Statement& row) {
        const std::string list{row.text(1)};
        for (const std::string_view text : policyd::list_items(list)) {
          const auto item = policyd::parse_item(text, Side::destination);
          const auto group = groups.find(item.text);
          if (item.kind != ItemKind::group || group == groups.end()) continue;
          if (!has_no_recipients(group->second)) continue;
          const ListRow here{"policy_members", "Destination", row.integer(0), {}, {}};
          findings.wrong(problem::kNoRecipients,
                         fmt::format("policy_members {}: the Destination names group '{}', which "
                                     "contains no address",
                                     here.id, escaped(item.text)),
                         item.negated ? "no recipient is in it, so that no mail is left out"
                                      : "no recipient is in it, so that no mail matches",
                         advice("put what you mean in place of VALUE: " +
                                update_list(rows, here, "Destination", "VALUE")));
        }
      });
}

std::string domain_of_target(const Target& target) {
  if (target.who == Who::domain) return target.name;
  if (target.who == Who::user || target.who == Who::login) {
    return std::string{policyd::domain_of(target.name)};
  }
  return {};
}

// Limits for a domain that is not this server's, but nearly.
void check_misspelt(const RuleRows& rows, Findings& findings) {
  if (!is_filled(rows.tables, "internal_domains")) return;
  const GroupMembers groups = read_group_members(rows.tables);
  std::set<std::string> own;
  const auto found = groups.find("internal_domains");
  if (found == groups.end()) return;
  for (const std::string& member : found->second) {
    if (member.starts_with('@')) own.insert(lower_cased(member.substr(1)));
    if (!member.starts_with('@')) return;  // groups in it, or stars
  }
  const std::vector<std::string_view> known{own.begin(), own.end()};
  std::set<std::string> checked;
  for (const StoredLimit& limit : rows.all.limits) {
    if (!limit.what.target || limit.what.target->from_anywhere) continue;
    std::vector<std::string> domains = {domain_of_target(*limit.what.target)};
    for (const std::string& item : limit.exempt) {
      domains.emplace_back(policyd::domain_of(item));
    }
    for (const std::string& domain : domains) {
      if (domain.empty() || own.contains(domain)) continue;
      const auto near = policyd::nearest(domain, known);
      if (!near || !checked.insert(fmt::format("{} {}", limit.id, domain)).second) continue;
      findings.wrong(problem::kMisspelt,
                     fmt::format("limit {} names {}, which is no domain of this server; {} is",
                                 limit.id, escaped(domain), *near),
                     "it applies to no one here",
                     advice(fmt::format(
                         "if {} is meant, give that a limit of its own, and remove limit {}; if {} "
                         "is this server's: 'carbonio-limits hook domain-created {}'",
                         *near, limit.id, escaped(domain), escaped(domain))));
    }
  }
}

}  // namespace

void check_doubtful(const RuleRows& rows, Findings& findings) {
  check_member_lists(rows, findings);
  check_own_groups(rows, findings);
  check_destinations(rows, findings);
  check_misspelt(rows, findings);
}

}  // namespace limits
