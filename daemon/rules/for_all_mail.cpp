// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/for_all_mail.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "daemon/rules/match/list_item.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxCompared = 64;

// The members of one policy that have one item, and 'any' on the other side.
struct SingleItems {
  std::vector<ListItem> sources;
  std::vector<ListItem> destinations;
};

void add_single(std::vector<ListItem>& items, std::string_view list, Side side) {
  const auto texts = list_items(list);
  if (texts.size() == 1 && items.size() < kMaxCompared) {
    items.push_back(parse_item(texts.front(), side));
  }
}

bool has_only(const ListItem& item, ItemKind kind, std::string_view characters) {
  return item.kind == kind && !item.negated &&
         item.text.find_first_not_of(characters) == std::string::npos;
}

// `filled`: the groups with members.
bool matches_all(const ListItem& item, const std::set<std::string_view>& filled) {
  if (item.kind == ItemKind::group) return item.negated && !filled.contains(item.text);
  if (item.kind == ItemKind::unparsable) return item.negated;
  return item.kind == ItemKind::client_network && !item.negated && item.network.length == 0 &&
         item.network.address.is_v4();
}

bool match_all_together(const ListItem& a, const ListItem& b) {
  if (has_only(a, ItemKind::sasl_user, "*") && has_only(b, ItemKind::sasl_user, "-")) return true;
  if (has_only(a, ItemKind::address, "*@") && has_only(b, ItemKind::empty_sender, "@")) return true;
  const bool error = a.kind == ItemKind::error || a.kind == ItemKind::peer_network;
  return !error && a.kind == b.kind && a.negated && !b.negated && a.text == b.text &&
         a.network == b.network;
}

bool cover_all(const std::vector<ListItem>& items, const std::set<std::string_view>& filled) {
  return std::any_of(items.begin(), items.end(), [&](const ListItem& a) {
    return matches_all(a, filled) ||
           std::any_of(items.begin(), items.end(),
                       [&](const ListItem& b) { return match_all_together(a, b); });
  });
}

}  // namespace

std::vector<bool> policies_for_all_mail(std::span<const MemberRow> members,
                                        std::span<const GroupRow> groups, std::size_t policies) {
  std::vector<bool> out(policies);
  std::map<std::size_t, SingleItems> single;
  for (const MemberRow& member : members) {
    const bool any_source = matches_everything(member.source);
    const bool any_destination = matches_everything(member.destination);
    if (any_source && any_destination) {
      out[member.policy] = true;
    } else if (any_destination) {
      add_single(single[member.policy].sources, *member.source, Side::source);
    } else if (any_source) {
      add_single(single[member.policy].destinations, *member.destination, Side::destination);
    }
  }
  std::set<std::string_view> filled;
  for (const GroupRow& group : groups) {
    if (!group.members.empty()) filled.insert(group.name);
  }
  for (const auto& [policy, items] : single) {
    if (cover_all(items.sources, filled) || cover_all(items.destinations, filled)) {
      out[policy] = true;
    }
  }
  return out;
}

}  // namespace policyd
