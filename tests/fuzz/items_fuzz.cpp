// SPDX-License-Identifier: AGPL-3.0-only
// Items, patterns, addresses and networks, and the matching of a whole rule. The input's lines are
// sender, recipient, client, host name, SASL name (`-` for none), peer, Source, Destination, and
// then groups as `NAME MEMBER`. The index says what the plain matching says, patterns match what a
// table of all pairs says, and what is parsed reads the same when written.
#include <algorithm>
#include <string>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/wildcard.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/rules/match/plain_match.hpp"
#include "daemon/rules/match/rows.hpp"
#include "fuzz.hpp"

namespace {

using namespace policyd;
using fuzz::check;

constexpr std::size_t kLongest = 2'000;  // of an input: the tables below are quadratic
constexpr std::size_t kMaxGroups = 12;

// Whether the pattern's first i characters match the text's first j, for all i and j.
template <typename StarTakes>
bool table_match(std::string_view pattern, std::string_view text, StarTakes star_takes) {
  std::vector<bool> row(text.size() + 1, false);
  row[0] = true;
  for (const char p : pattern) {
    std::vector<bool> next(text.size() + 1, false);
    if (p == '*') next[0] = row[0];
    for (std::size_t j = 1; j <= text.size(); ++j) {
      next[j] = p == '*' ? row[j] || (next[j - 1] && star_takes(text[j - 1]))
                         : row[j - 1] && text[j - 1] == p;
    }
    row = std::move(next);
  }
  return row[text.size()];
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

bool host_table_match(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with('.')) return table_match(pattern, host, is_host_character);
  for (std::size_t begin = 0; begin <= host.size(); ++begin) {
    if (table_match(pattern, host.substr(begin), is_host_character)) return true;
  }
  return false;
}

void check_patterns(std::string_view pattern, std::string_view text) {
  check(wildcard_match(pattern, text) == table_match(pattern, text, [](char) { return true; }),
        "a pattern matches what it says");
  // A pattern of hosts comes from parse_item(), so it has host characters only.
  const bool is_host = std::all_of(pattern.begin(), pattern.end(),
                                   [](char c) { return c == '*' || is_host_character(c); });
  if (!is_host) return;
  check(host_match(pattern, text) == host_table_match(pattern, text),
        "a host pattern matches what it says");
}

void check_network(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) {
    check(IpAddress::parse(address->to_string()) == address, "an address reads as it is written");
    check(IpAddress::parse(address->to_short_string()) == address, "and so when it is shortened");
    check(address->masked(address->bits()) == *address, "a whole mask keeps all");
  }
  const auto network = IpNetwork::parse(text);
  if (!network) return;
  check(network->length >= 0 && network->length <= network->address.bits(), "a length in bounds");
  check(network->contains(network->address), "a network holds its address");
  check(network->address.masked(network->length) == network->address, "the address is masked");
  const std::string written = network->address.to_string() + "/" + std::to_string(network->length);
  check(IpNetwork::parse(written) == network, "a network reads as it is written");
}

void check_lists(std::string_view list) {
  std::string joined;
  for (const std::string_view item : list_items(list)) {
    joined += std::string{item} + ",";
    const ListItem source = parse_item(item, Side::source);
    check(source.negated == item.starts_with('!'), "an item begins with ! or does not");
    const bool wrong = source.kind == ItemKind::error || source.kind == ItemKind::unparsable;
    check(!wrong || item_problem(item, Side::source), "what is wrong is said");
    const auto kind = parse_item(item, Side::destination).kind;
    check(kind == ItemKind::group || kind == ItemKind::address || kind == ItemKind::unparsable ||
              kind == ItemKind::error,
          "a destination is a group or an address");
  }
  const auto kept = list.substr(0, list.find_last_not_of(",\r\n") + 1);
  check(joined == (kept.empty() ? "" : std::string{kept} + ","), "a list is its items");
  for (const std::string_view item : member_items(list)) {
    check(!item.empty() && item.find_first_of(",\r\n") == std::string_view::npos,
          "a member's items are single");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kLongest) return 0;
  std::string_view rest = fuzz::text_of(data, size);
  std::string sender{fuzz::take_line(rest)};
  std::string recipient{fuzz::take_line(rest)};
  const std::string_view client = fuzz::take_line(rest);
  const std::string_view host = fuzz::take_line(rest);
  std::string sasl{fuzz::take_line(rest)};
  const std::string_view peer = fuzz::take_line(rest);
  const std::string source{fuzz::take_line(rest)};
  const std::string destination{fuzz::take_line(rest)};
  std::vector<GroupRow> groups;
  while (!rest.empty() && groups.size() < kMaxGroups) {
    std::string_view member = fuzz::take_line(rest);
    const std::string name{fuzz::take_until(member, " ")};
    const auto known = std::find_if(groups.begin(), groups.end(),
                                    [&](const GroupRow& group) { return group.name == name; });
    GroupRow& group = known == groups.end() ? groups.emplace_back() : *known;
    group.id = static_cast<std::int64_t>(&group - groups.data()) + 1;
    group.name = name;
    group.members.push_back({static_cast<std::int64_t>(rest.size()), std::string{member}});
  }

  check_lists(source);
  check_patterns(source, sender);
  check_patterns(destination, host);
  check_network(client);
  check_network(source);

  // As parse_request() gives them.
  sender = address_form(sender);
  recipient = address_form(recipient);
  sasl = login_form(sasl);
  check(address_form(sender) == sender && login_form(sasl) == sasl, "a form is its own form");
  Request request;
  request.state = ProtocolState::rcpt;
  request.sender = sender;
  request.recipient = recipient;
  request.client_address = IpAddress::parse(client).value_or(IpAddress{});
  request.peer_address = IpAddress::parse(peer);
  request.reverse_client_name = host;
  if (sasl != "-") request.sasl_username = sasl;

  const std::vector<MemberRow> members = {
      {1, 0, source, destination}, {2, 1, source, std::nullopt}, {3, 2, std::nullopt, destination}};
  std::vector<RowProblem> problems;
  const MatchIndex index(members, groups, problems);
  Matcher matcher;
  const auto found = matcher.match(index, request);
  std::vector<std::uint32_t> plain;
  for (const MemberRow& member : members) {
    const auto from = plain_match(member.source, Side::source, request, groups);
    const auto to = plain_match(member.destination, Side::destination, request, groups);
    check(!from.because.empty() && from.because.find('\n') == std::string::npos, "a reason");
    if (from.matches && to.matches) plain.push_back(member.policy);
  }
  check(std::equal(found.begin(), found.end(), plain.begin(), plain.end()),
        "the index says what the plain matching says");
  return 0;
}
