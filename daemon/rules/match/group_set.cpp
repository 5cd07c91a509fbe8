// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/group_set.hpp"
#include "daemon/rules/match/rows.hpp"

#include <algorithm>

namespace policyd {

GroupSet::GroupSet(Side side, std::span<const GroupRow> rows, AtomTable& atoms)
    : side_(side), rows_(rows), atoms_(atoms), groups_(rows.size()) {
  by_name_.reserve(rows.size());
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    by_name_.emplace(rows[i].name, i);
    groups_[i].representative = i;
  }
}

Term GroupSet::term(std::string_view text) {
  const ListItem item = parse_item(text, side_);
  Term result;
  result.negated = item.negated;
  if (item.kind == ItemKind::error) {
    result.kind = Term::Kind::error;
  } else if (item.kind != ItemKind::group) {
    result.id = atoms_.intern(item, side_);
    if (item.kind == ItemKind::peer_network) result.negated = false;  // see intern()
  } else if (const auto known = by_name_.find(item.text); known != by_name_.end()) {
    result.kind = Term::Kind::group;
    result.id = known->second;
    Group& group = groups_[result.id];
    if (!group.taken) taken_.push_back(result.id);
    group.taken = true;
  } else {
    result.id = AtomTable::kNothing;
  }
  return result;
}

std::optional<std::string> GroupSet::problem(std::string_view text) const {
  if (auto problem = item_problem(text, side_)) return problem;
  const ListItem item = parse_item(text, side_);
  if (item.kind != ItemKind::group || by_name_.contains(item.text)) return std::nullopt;
  return "there is no group " + quoted(item.text);
}

void GroupSet::resolve(std::vector<RowProblem>& problems) {
  std::size_t parsed = 0;
  while (parsed < taken_.size()) parse(taken_[parsed++]);  // takes in more
  find_sound();
  for (const auto group : taken_) {
    if (is_broken(group)) cut(group, problems);
  }
  for (const auto group : taken_) {
    if (is_broken(group)) order_broken(group);
  }
}

void GroupSet::parse(std::uint32_t group) {
  std::vector<Term> members;
  for (const auto& member : rows_[group].members) {
    for (const auto item : member_items(member.text)) members.push_back(term(item));
  }
  std::uint32_t unsure = 0;
  for (const auto& member : members) {
    if (member.kind == Term::Kind::atom) continue;
    ++unsure;
    if (member.kind == Term::Kind::group) groups_[member.id].users.push_back(group);
  }
  groups_[group].members = std::move(members);
  groups_[group].unsure_items = unsure;
}

// A group is sound when all groups in it are; what has an error or a loop below it never gets
// there.
void GroupSet::find_sound() {
  const auto add_if_sound = [this](std::uint32_t group) {
    if (groups_[group].unsure_items > 0) return;
    groups_[group].sound = true;
    order_.push_back(group);
  };
  for (const auto group : taken_) add_if_sound(group);
  std::size_t looked_at = 0;
  while (looked_at < order_.size()) {
    for (const auto user : groups_[order_[looked_at++]].users) {
      --groups_[user].unsure_items;
      add_if_sound(user);
    }
  }
}

bool GroupSet::is_error(const Term& term) const {
  return term.kind == Term::Kind::error || (term.kind == Term::Kind::group && is_broken(term.id));
}

// A broken group ends at its first item that can be an error. If that is a group (without `!`), it
// still matches when that group does.
void GroupSet::cut(std::uint32_t group, std::vector<RowProblem>& problems) {
  auto& members = groups_[group].members;
  const auto error = std::find_if(members.begin(), members.end(),
                                  [this](const Term& member) { return is_error(member); });
  if (error->kind == Term::Kind::group) {
    if (!error->negated) groups_[group].next = error->id;
    problems.push_back({"policy_groups", rows_[group].id,
                        "group " + quoted(rows_[group].name) + " is an error from its member " +
                            quoted("%" + rows_[error->id].name) +
                            " on: that group contains itself, or an invalid address"});
  }
  members.erase(error, members.end());
}

void GroupSet::order_broken(std::uint32_t first) {
  std::vector<std::uint32_t> path;
  auto group = first;
  for (; group != kNone && groups_[group].visit == Visit::not_yet; group = groups_[group].next) {
    groups_[group].visit = Visit::open;
    path.push_back(group);
  }
  if (group != kNone && groups_[group].visit == Visit::open) merge_loop(path, group);
  for (const auto on_path : path) {
    Group& broken = groups_[on_path];
    broken.visit = Visit::done;
    if (broken.next == kNone) continue;
    Term next;
    next.kind = Term::Kind::group;
    next.id = broken.next;
    broken.members.push_back(next);
  }
  order_.insert(order_.end(), path.rbegin(), path.rend());
}

// Wherever one enters a loop, one walks through all of it: `entry` stands for all its groups.
void GroupSet::merge_loop(std::vector<std::uint32_t>& path, std::uint32_t entry) {
  const auto begin = std::find(path.begin(), path.end(), entry);
  Group& merged = groups_[entry];
  merged.next = kNone;
  for (auto other = begin + 1; other != path.end(); ++other) {
    Group& group = groups_[*other];
    merged.members.insert(merged.members.end(), group.members.begin(), group.members.end());
    group.members.clear();
    group.representative = entry;
    group.visit = Visit::done;
  }
  path.erase(begin + 1, path.end());
}

}  // namespace policyd
