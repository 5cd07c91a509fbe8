// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/group_set.hpp"

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
    if (!group.used) used_.push_back(result.id);
    group.used = true;
  } else {
    result.id = AtomTable::kNothing;
  }
  return result;
}

std::optional<RowProblem::Kind> GroupSet::problem(std::string_view text) const {
  if (const auto problem = item_problem(text, side_)) return problem;
  const ListItem item = parse_item(text, side_);
  if (item.kind != ItemKind::group || by_name_.contains(item.text)) return std::nullopt;
  return RowProblem::Kind::unknown_group;
}

void GroupSet::resolve(std::vector<RowProblem>& problems) {
  std::size_t parsed = 0;
  while (parsed < used_.size()) parse(used_[parsed++]);  // adds more
  find_sound();
  for (const auto group : used_) {
    if (is_broken(group)) cut(group, problems);
  }
  for (const auto group : used_) {
    if (is_broken(group)) order_broken(group);
  }
}

void GroupSet::parse(std::uint32_t group) {
  std::vector<Term> members;
  for (const auto& member : rows_[group].members) {
    for (const auto item : member_items(member.text)) members.push_back(term(item));
  }
  std::uint32_t open = 0;
  for (const auto& member : members) {
    if (member.kind == Term::Kind::atom) continue;
    ++open;
    if (member.kind == Term::Kind::group) groups_[member.id].users.push_back(group);
  }
  groups_[group].members = std::move(members);
  groups_[group].open_items = open;
}

// A group is sound if all groups in it are. One with an error or a loop below it never gets there.
void GroupSet::find_sound() {
  const auto add_if_sound = [this](std::uint32_t group) {
    if (groups_[group].open_items > 0) return;
    groups_[group].sound = true;
    order_.push_back(group);
  };
  for (const auto group : used_) add_if_sound(group);
  std::size_t checked = 0;
  while (checked < order_.size()) {
    for (const auto user : groups_[order_[checked++]].users) {
      --groups_[user].open_items;
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
    problems.push_back({RowProblem::Kind::broken_group, "policy_groups", rows_[group].id, "Member",
                        rows_[group].name.substr(0, RowProblem::kMaxValue),
                        rows_[error->id].name.substr(0, RowProblem::kMaxValue)});
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

// A walk that enters a loop anywhere goes through all of it: `entry` stands for all its groups.
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
