// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/overrides.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "daemon/base/ascii.hpp"
#include "plugin/rows/write_limit.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxGroupName = 200;
constexpr std::string_view kGroupComment = "These have limits of their own";

// The policy's name if it has only plain characters, which have no special meaning in a list item
// and are what they look like: the article's policy name begins with a Cyrillic letter.
std::string group_stem(const StoredLimit& limit) {
  const auto is_plain = [](char c) {
    return policyd::is_letter(c) || policyd::is_digit(c) ||
           std::string_view{"@._-+"}.find(c) != std::string_view::npos;
  };
  const std::string& name = limit.policy_name;
  const bool plain = !name.empty() && name.size() <= kMaxGroupName &&
                     std::all_of(name.begin(), name.end(), is_plain);
  return plain ? name : default_name(*limit.what.direction, *limit.what.target, *limit.what.per);
}

std::string free_group_name(ChangeSet& changes, const StoredLimit& limit) {
  const std::string stem = group_stem(limit);
  std::string name = fmt::format("{}-except", stem);
  for (int attempt = 2; changes.has_row("SELECT 1 FROM {p}policy_groups WHERE Name = ?", {name});
       ++attempt) {
    name = fmt::format("{}-{}-except", stem, attempt);
  }
  return name;
}

// Moves the limit's quotas to a new policy with the same members; the counters are kept.
void move_to_own_policy(ChangeSet& changes, const StoredLimit& limit, const std::string& group) {
  changes.run(
      "INSERT INTO {p}policies (Name, Priority, Description, Disabled) "
      "SELECT ?, Priority, Description, Disabled FROM {p}policies WHERE ID = ?",
      {default_name(*limit.what.direction, *limit.what.target, *limit.what.per), limit.policy_id});
  for (const StoredMember& member : limit.members) {
    const MemberText text = with_exception(member.text, *limit.what.direction, group);
    changes.run(
        "INSERT INTO {p}policy_members (PolicyID, Source, Destination, Disabled) "
        "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?, ?)",
        {ChangeSet::value_of(text.source), ChangeSet::value_of(text.destination),
         std::int64_t{member.enabled ? 0 : 1}});
  }
  std::vector<std::int64_t> moved;
  for (const StoredRate& rate : limit.rates) {
    if (std::find(moved.begin(), moved.end(), rate.quota_id) != moved.end()) continue;
    moved.push_back(rate.quota_id);
    changes.run("UPDATE {p}quotas SET PolicyID = (SELECT max(ID) FROM {p}policies) WHERE ID = ?",
                {rate.quota_id});
  }
}

void edit_members(ChangeSet& changes, StoredLimit& limit,
                  const std::function<MemberText(const MemberText&)>& edit) {
  for (StoredMember& member : limit.members) {
    const MemberText text = edit(member.text);
    if (text == member.text) continue;
    changes.run(
        "UPDATE {p}policy_members SET Source = ?, Destination = ? WHERE ID = ?",
        {ChangeSet::value_of(text.source), ChangeSet::value_of(text.destination), member.id});
    member.text = text;
  }
}

// The members name the group already, but an admin may have deleted or disabled it since.
void revive_group(ChangeSet& changes, const std::string& group) {
  if (changes.has_row("SELECT 1 FROM {p}policy_groups WHERE Name = ? AND Disabled = 0", {group})) {
    return;
  }
  changes.run(
      "INSERT INTO {p}policy_groups (Name) VALUES (?) ON CONFLICT (Name) DO UPDATE SET Disabled = "
      "0",
      {group});
}

// Ensures that the group exists and the limit's members name it. Rereads a limit that gets a policy
// of its own.
std::string ensure_group(ChangeSet& changes, AllLimits& all, std::int64_t id) {
  StoredLimit& limit = *find_limit(all, id);
  if (limit.what.except_group) {
    revive_group(changes, *limit.what.except_group);
    return *limit.what.except_group;
  }
  const std::string group = free_group_name(changes, limit);
  const bool shared = shares_policy(changes, limit);
  changes.run("INSERT INTO {p}policy_groups (Name, Comment) VALUES (?, ?)",
              {group, std::string{kGroupComment}});
  limit.what.except_group = group;
  if (!shared) {
    edit_members(changes, limit, [&](const MemberText& text) {
      return with_exception(text, *limit.what.direction, group);
    });
  } else {
    move_to_own_policy(changes, limit, group);
    reread_policy(changes, all, limit.policy_id);
    read_newest(changes, all);
  }
  return group;
}

bool contains(const std::vector<std::string>& items, std::string_view item) {
  return std::any_of(items.begin(), items.end(),
                     [&](const auto& known) { return equal_ignoring_case(known, item); });
}

void erase_item(std::vector<std::string>& items, std::string_view item) {
  items.erase(std::remove_if(items.begin(), items.end(),
                             [&](const auto& known) { return equal_ignoring_case(known, item); }),
              items.end());
}

void insert_item(ChangeSet& changes, AllLimits& all, std::int64_t id, const std::string& item,
                 bool exempt) {
  const std::string group = ensure_group(changes, all, id);
  StoredLimit& limit = *find_limit(all, id);
  if (!contains(limit.except, item)) {
    changes.run(
        "INSERT INTO {p}policy_group_members (PolicyGroupID, Member, Comment) "
        "VALUES ((SELECT ID FROM {p}policy_groups WHERE Name = ?), ?, ?)",
        {group, item, exempt ? Value{std::string{kExemptComment}} : Value{nullptr}});
    limit.except.push_back(item);
  } else if (exempt && !contains(limit.exempt, item)) {
    changes.run(
        "UPDATE {p}policy_group_members SET Comment = ? WHERE PolicyGroupID = "
        "(SELECT ID FROM {p}policy_groups WHERE Name = ?) AND lower(Member) = lower(?)",
        {std::string{kExemptComment}, group, item});
  }
  if (exempt) limit.exempt.push_back(item);
}

// If the group is one of ours and empty by now: removes it from the policy's members and deletes
// it.
void drop_empty_group(ChangeSet& changes, StoredLimit& limit) {
  if (!limit.except.empty() || !limit.what.except_group) return;
  const std::string group = *limit.what.except_group;
  const bool ours =
      changes.has_row(fmt::format("SELECT 1 FROM {{p}}policy_groups g WHERE g.Name = ? AND "
                                  "g.Comment = '{}' AND NOT EXISTS (SELECT 1 FROM "
                                  "{{p}}policy_group_members m WHERE m.PolicyGroupID = g.ID)",
                                  kGroupComment),
                      {group});
  if (!ours) return;
  edit_members(changes, limit, [&](const MemberText& text) {
    return without_exception(text, *limit.what.direction, group);
  });
  limit.what.except_group.reset();
  delete_unused_group(changes, group);
}

void delete_item(ChangeSet& changes, StoredLimit& limit, const std::string& item) {
  changes.run(
      "DELETE FROM {p}policy_group_members WHERE PolicyGroupID = "
      "(SELECT ID FROM {p}policy_groups WHERE Name = ?) AND lower(Member) = lower(?)",
      {*limit.what.except_group, item});
  erase_item(limit.except, item);
  erase_item(limit.exempt, item);
  drop_empty_group(changes, limit);
}

// Two different limits with the same direction and --per that our options can express.
bool same_kind(const StoredLimit& a, const StoredLimit& b) {
  return a.id != b.id && a.what.target && b.what.target && a.what.direction == b.what.direction &&
         a.what.per == b.what.per;
}

std::string limit_in_words(const StoredLimit& limit) {
  return fmt::format("limit {} ({} for {})", limit.id, format_limit(limit.plain_rates()),
                     name_of(*limit.what.target));
}

// Whether the exception is there because an enabled limit applies instead.
bool is_explained(const AllLimits& all, const StoredLimit& limit, std::string_view item,
                  std::int64_t except_by = 0) {
  return std::any_of(all.limits.begin(), all.limits.end(), [&](const StoredLimit& other) {
    return same_kind(limit, other) && other.enabled() && other.id != except_by &&
           equal_ignoring_case(item_of(*other.what.target), item);
  });
}

}  // namespace

Sentences override_general(ChangeSet& changes, AllLimits& all, std::int64_t id) {
  struct Pair {
    std::int64_t general;
    std::int64_t specific;
  };
  std::vector<Pair> pairs;  // by ID, because `all` changes meanwhile
  const StoredLimit& self = *find_limit(all, id);
  for (const StoredLimit& other : all.limits) {
    if (!same_kind(self, other)) continue;
    const Direction direction = *self.what.direction;
    if (covers(direction, *other.what.target, *self.what.target)) {
      pairs.push_back({other.id, id});
    } else if (other.enabled() && covers(direction, *self.what.target, *other.what.target)) {
      pairs.push_back({id, other.id});
    }
  }
  Sentences out;
  for (const Pair& pair : pairs) {
    const std::string item = item_of(*find_limit(all, pair.specific)->what.target);
    if (contains(find_limit(all, pair.general)->except, item)) continue;
    insert_item(changes, all, pair.general, item, false);
    out.push_back(fmt::format(
        "{} no longer applies to {}; limit {} does", limit_in_words(*find_limit(all, pair.general)),
        name_of(*find_limit(all, pair.specific)->what.target), pair.specific));
  }
  return out;
}

Sentences restore_general(ChangeSet& changes, AllLimits& all, std::int64_t id) {
  const StoredLimit& self = *find_limit(all, id);
  Sentences out;
  for (StoredLimit& general : all.limits) {
    if (!same_kind(self, general) ||
        !covers(*self.what.direction, *general.what.target, *self.what.target)) {
      continue;
    }
    const std::string item = item_of(*self.what.target);
    if (!general.what.except_group || !contains(general.except, item) ||
        contains(general.exempt, item)) {
      continue;
    }
    // The same user may also have a limit for mail from anywhere.
    if (is_explained(all, general, item, id)) continue;
    delete_item(changes, general, item);
    out.push_back(
        fmt::format("{} applies to {} again", limit_in_words(general), name_of(*self.what.target)));
  }
  return out;
}

std::vector<std::string> exempt_items(const AllLimits& all, const StoredLimit& limit) {
  std::vector<std::string> out;
  if (limit.except.empty()) return out;
  std::unordered_set<std::string> explained;  // a thousand domains may have limits of their own
  for (const StoredLimit& other : all.limits) {
    if (same_kind(limit, other) && other.enabled()) {
      explained.insert(lower_cased(item_of(*other.what.target)));
    }
  }
  for (const std::string& item : limit.except) {
    if (!explained.contains(lower_cased(item)) || contains(limit.exempt, item)) out.push_back(item);
  }
  std::sort(out.begin(), out.end());
  return out;
}

void update_exempt(ChangeSet& changes, AllLimits& all, std::int64_t id,
                   const std::vector<Target>& except) {
  std::vector<std::string> wanted;
  wanted.reserve(except.size());
  for (const Target& target : except) wanted.push_back(item_of(target));
  for (const std::string& item : exempt_items(all, *find_limit(all, id))) {
    if (contains(wanted, item)) continue;
    StoredLimit& limit = *find_limit(all, id);
    if (is_explained(all, limit, item)) {
      changes.run(
          "UPDATE {p}policy_group_members SET Comment = NULL WHERE PolicyGroupID = "
          "(SELECT ID FROM {p}policy_groups WHERE Name = ?) AND lower(Member) = lower(?)",
          {*limit.what.except_group, item});
      erase_item(limit.exempt, item);
    } else {
      delete_item(changes, limit, item);
    }
  }
  const auto have = exempt_items(all, *find_limit(all, id));
  for (const std::string& item : wanted) {
    if (!contains(have, item)) insert_item(changes, all, id, item, true);
  }
}

void delete_unused_group(ChangeSet& changes, const std::string& group) {
  const std::string item = "%" + group;
  const bool named = changes.has_row(
      "SELECT 1 FROM {p}policy_members WHERE instr(ifnull(Source, '') || ',' || "
      "ifnull(Destination, ''), ?1) UNION ALL SELECT 1 FROM "
      "{p}policy_group_members WHERE instr(Member, ?1)",
      {item});
  if (named) return;
  changes.run(
      "DELETE FROM {p}policy_group_members WHERE PolicyGroupID = "
      "(SELECT ID FROM {p}policy_groups WHERE Name = ?)",
      {group});
  changes.run("DELETE FROM {p}policy_groups WHERE Name = ?", {group});
}

}  // namespace limits
