// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/own_addresses.hpp"

#include <algorithm>
#include <unordered_map>

#include "daemon/names/extension.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/rules/match/list_item.hpp"

namespace policyd {

OwnDomains::OwnDomains(std::span<const GroupRow> groups) {
  std::unordered_map<std::string_view, const GroupRow*> unread;
  for (const GroupRow& group : groups) unread.emplace(group.name, &group);
  std::vector<std::string> names{std::string{kGroup}};
  while (!names.empty()) {
    const auto group = unread.find(names.back());
    names.pop_back();
    if (group == unread.end()) continue;
    for (const GroupRow::Member& member : group->second->members) {
      for (const std::string_view item : member_items(member.text)) add(item, names);
    }
    unread.erase(group);
  }
}

void OwnDomains::add(std::string_view text, std::vector<std::string>& groups) {
  ListItem item = parse_item(text, Side::source);
  if (item.negated) return;
  if (item.kind == ItemKind::group) groups.push_back(std::move(item.text));
  if (item.kind != ItemKind::address) return;
  // Of single addresses the domain is not known to be an own one.
  if (local_part_of(item.text).find_first_not_of('*') != std::string_view::npos) return;
  const std::string_view domain = domain_of(item.text);
  if (domain.find('*') == std::string_view::npos) {
    names_.emplace(domain);
  } else {
    patterns_.emplace_back(domain);
  }
}

bool OwnDomains::hold(std::string_view domain) const {
  return names_.contains(domain) ||
         std::any_of(patterns_.begin(), patterns_.end(),
                     [&](const std::string& pattern) { return domain_match(pattern, domain); });
}

std::string_view Extensions::split(std::string_view address) const {
  const std::string_view local_part = local_part_of(address);
  const std::string_view user = without_extension(local_part, delimiters_);
  if (user.size() == local_part.size()) return user;
  const std::string_view domain = domain_of(address);
  return domain.empty() || own_->hold(domain) ? user : local_part;
}

std::string without_extension(std::string_view address, const Extensions& extensions) {
  std::string out{extensions.user_of(address)};
  return out += address.substr(local_part_of(address).size());
}

}  // namespace policyd
