// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/exceptions.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "daemon/base/ascii.hpp"
#include "plugin/rows/replacements.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::size_t kMaxGroupName = 200;

// What a general limit needs.
struct Demand {
  std::vector<std::size_t> specials;                   // that replace it
  std::unordered_map<std::string, std::size_t> items;  // of these, in lower case
  std::unordered_map<std::string, std::size_t> freed;  // of limits that no longer do
};

// The policy's name if it has only plain characters, which have no special meaning in a list item
// and are what they look like: the article's policy name begins with a Cyrillic letter.
std::string group_stem(const StoredLimit& limit) {
  const auto is_plain = [](char c) {
    return policyd::is_letter(c) || policyd::is_digit(c) ||
           std::string_view{"@._-+"}.find(c) != std::string_view::npos;
  };
  const auto plain = [&](const std::string& name) {
    return !name.empty() && name.size() <= kMaxGroupName &&
           std::all_of(name.begin(), name.end(), is_plain);
  };
  if (plain(limit.policy_name)) return limit.policy_name;
  std::string name = default_name(*limit.what.direction, *limit.what.target, *limit.what.per);
  std::replace_if(
      name.begin(), name.end(), [&](char c) { return c == ',' || c == '"' || c == ' '; }, '-');
  return name;
}

// A name that no group has and no row mentions: those who mention it would get its members.
std::string free_group_name(const StoredLimit& limit, const Surroundings& around) {
  const std::string stem = group_stem(limit);
  std::string name = fmt::format("{}-except", stem);
  for (int attempt = 2; around.groups.contains(name) || around.mentions.contains(name); ++attempt) {
    name = fmt::format("{}-{}-except", stem, attempt);
  }
  return name;
}

class Finder {
 public:
  Finder(std::vector<PlanEntry>& entries, const ExceptGroups& groups, Surroundings& around)
      : entries_(entries), around_(around) {
    out_.after = groups;
  }

  Exceptions find() {
    const auto all = demands();
    for (const auto& [general, demand] : all) update(general, demand);
    for (const auto& [general, demand] : all) name_senders(entries_[general]);
    drop_groups_of_gone();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::map<std::size_t, Demand> demands() const {
    std::vector<const StoredLimit*> limits;
    limits.reserve(entries_.size());
    for (const PlanEntry& entry : entries_) limits.push_back(&entry.now);
    std::map<std::size_t, Demand> out;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].touched && !entries_[i].gone && limits[i]->what.target) out[i];
    }
    each_pair(limits, [&](std::size_t general, std::size_t special) {
      if (entries_[special].touched && !entries_[general].gone) out[general];
    });
    each_pair(limits, [&](std::size_t general, std::size_t special) {
      const auto found = out.find(general);
      if (found == out.end()) return;
      const std::string item = lower_cased(item_of(*limits[special]->what.target));
      if (!entries_[special].gone && replaces(*limits[general], *limits[special])) {
        if (found->second.items.emplace(item, special).second) {
          found->second.specials.push_back(special);
        }
      } else if (entries_[special].touched || replaced_before(general, special)) {
        found->second.freed.emplace(item, special);
      }
    });
    return out;
  }

  // Not so what an earlier version excepted, which stays until the admin changes it.
  [[nodiscard]] bool replaced_before(std::size_t general, std::size_t special) const {
    const StoredLimit* a = entries_[general].before;
    const StoredLimit* b = entries_[special].before;
    return a != nullptr && b != nullptr && replaces(*a, *b);
  }

  void update(std::size_t general, const Demand& demand) {
    PlanEntry& entry = entries_[general];
    StoredLimit& now = entry.now;
    std::unordered_set<std::string> exempt;
    for (const std::string& item : entry.exempt.value_or(std::vector<std::string>{})) {
      exempt.insert(lower_cased(item));
    }
    GroupChange change;
    const ExceptGroup old = group_of(now);
    std::vector<ExceptGroup::Item> items;
    std::unordered_set<std::string> present;
    for (ExceptGroup::Item item : old.items) {
      const std::string key = lower_cased(item.text);
      const bool marked = entry.exempt ? exempt.contains(key) : item.exempt;
      const auto freed = demand.freed.find(key);
      const bool keep =
          marked || demand.items.contains(key) || (!entry.exempt && freed == demand.freed.end());
      if (!keep) {
        change.remove.push_back(item.id);
        out_.changes.push_back(
            {general, freed == demand.freed.end() ? std::nullopt : std::optional{freed->second},
             false});
        continue;
      }
      const auto explained = demand.items.find(key);
      if ((!old.enabled || lacks_sender(now, item.text)) && explained != demand.items.end()) {
        out_.changes.push_back({general, explained->second, true});
      }
      if (marked != item.exempt) {
        change.mark.push_back({item.id, item.text, marked});
        out_.changes.push_back({general, std::nullopt, true});
      }
      item.exempt = marked;
      present.insert(key);
      items.push_back(std::move(item));
    }
    const auto insert = [&](const std::string& item, std::optional<std::size_t> special) {
      const std::string key = lower_cased(item);
      if (!present.insert(key).second) return;
      change.insert.push_back({0, item, exempt.contains(key)});
      items.push_back({0, item, exempt.contains(key)});
      out_.changes.push_back({general, special, true});
    };
    for (const std::size_t special : demand.specials) {
      insert(item_of(*entries_[special].now.what.target), special);
    }
    for (const std::string& item : entry.exempt.value_or(std::vector<std::string>{})) {
      insert(item, std::nullopt);
    }
    settle(entry, old, std::move(items), std::move(change));
  }

  // Earlier versions excepted only the login.
  static bool lacks_sender(const StoredLimit& limit, const std::string& item) {
    const auto sender = sender_of(item);
    const auto& named = limit.what.except_senders;
    return limit.what.per == Per::account && sender &&
           std::find(named.begin(), named.end(), *sender) == named.end();
  }

  void name_senders(PlanEntry& entry) {
    std::vector<std::string> senders;
    for (const ExceptGroup::Item& item : group_of(entry.now).items) {
      if (auto sender = sender_of(item.text)) senders.push_back(std::move(*sender));
    }
    for (StoredMember& member : entry.now.members) {
      MemberText text = with_senders(member.text, senders);
      if (text == member.text) continue;
      member.text = std::move(text);
      entry.touched = true;
    }
    entry.now.what.except_senders = std::move(senders);
  }

  [[nodiscard]] ExceptGroup group_of(const StoredLimit& limit) const {
    if (!limit.what.except_group) return {};
    const auto found = out_.after.find(*limit.what.except_group);
    return found == out_.after.end() ? ExceptGroup{} : found->second;
  }

  // Makes, revives or drops the group as its items need it.
  void settle(PlanEntry& entry, const ExceptGroup& old, std::vector<ExceptGroup::Item> items,
              GroupChange change) {
    StoredLimit& now = entry.now;
    now.except.clear();
    for (const ExceptGroup::Item& item : items) now.except.push_back(item.text);
    if (items.empty() && (!now.what.except_group || (!old.ours && change.remove.empty()))) return;
    if (items.empty()) {
      change.name = *now.what.except_group;
      if (old.ours) drop_group(entry, change);
      out_.after[change.name].items.clear();
      return out_.groups.push_back(std::move(change));
    }
    if (!now.what.except_group) name_group(entry, free_group_name(now, around_));
    change.name = *now.what.except_group;
    change.create = !around_.groups.contains(change.name);
    change.enable = !change.create && !old.enabled;
    around_.groups.insert(change.name);
    ExceptGroup& after = out_.after[change.name];
    after.ours = after.ours || change.create;
    after.enabled = true;
    after.items = std::move(items);
    if (change.create || change.enable || !change.insert.empty() || !change.remove.empty() ||
        !change.mark.empty()) {
      out_.groups.push_back(std::move(change));
    }
  }

  void name_group(PlanEntry& entry, const std::string& group) {
    StoredLimit& now = entry.now;
    const Direction direction = *now.what.direction;
    now.what.except_group = group;
    if (is_shared(entry, around_)) {
      entry.moves = true;
      entry.touched = true;
      now.policy_id = 0;
      now.policy_name = default_name(direction, *now.what.target, *now.what.per);
      for (StoredMember& member : now.members) member.id = 0;
    }
    for (StoredMember& member : now.members) {
      member.text = with_exception(member.text, direction, group);
    }
    around_.mentions[group] += now.members.size();
    entry.touched = true;
  }

  void drop_group(PlanEntry& entry, GroupChange& change) {
    StoredLimit& now = entry.now;
    for (StoredMember& member : now.members) {
      member.text = without_exception(member.text, *now.what.direction, change.name);
    }
    now.what.except_group.reset();
    entry.touched = true;
    forget_mentions(change, now.members.size());
  }

  void forget_mentions(GroupChange& change, std::size_t members) {
    std::size_t& mentions = around_.mentions[change.name];
    mentions -= std::min(mentions, members);
    change.drop = mentions == 0 && around_.groups.contains(change.name);
    if (!change.drop) return;
    around_.groups.erase(change.name);
    around_.mentions.erase(change.name);
  }

  void drop_groups_of_gone() {
    for (const PlanEntry* entry : last_of_policies(entries_, around_)) {
      const auto& group = entry->before->what.except_group;
      if (!group) continue;
      GroupChange change;
      change.name = *group;
      forget_mentions(change, entry->before->members.size());
      if (!change.drop) continue;
      const ExceptGroup& old = out_.after[*group];
      change.sweep = !old.ours;
      if (old.ours) {
        for (const ExceptGroup::Item& item : old.items) change.remove.push_back(item.id);
      }
      out_.after.erase(*group);
      out_.groups.push_back(std::move(change));
    }
  }

  std::vector<PlanEntry>& entries_;
  Surroundings& around_;
  Exceptions out_;
};

}  // namespace

Exceptions find_exceptions(std::vector<PlanEntry>& entries, const ExceptGroups& groups,
                           Surroundings& around) {
  return Finder{entries, groups, around}.find();
}

}  // namespace limits
