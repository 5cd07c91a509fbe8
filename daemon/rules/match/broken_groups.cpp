// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/broken_groups.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>
#include <vector>

#include "daemon/rules/match/group_set.hpp"

namespace policyd {
namespace {

class Finder {
 public:
  Finder(std::span<const GroupRow> rows, Side side) : rows_(rows), set_(side, rows, atoms_) {
    for (const GroupRow& row : rows) {
      const Term term = set_.term("%" + row.name);
      if (term.kind == Term::Kind::group) used_.insert(term.id);
    }
    std::vector<RowProblem> known;  // each caller words them itself
    set_.resolve(known);
  }

  BrokenGroups find() {
    find_what_matches();
    for (const std::uint32_t group : used_) {
      if (set_.is_broken(group)) follow(group);
    }
    return std::move(out_);
  }

 private:
  struct Fault {
    const GroupRow::Member* member = nullptr;
    std::string_view item;
    std::optional<std::uint32_t> group;  // that the item names; none: it is an impossible address
  };

  // Nothing after it is tried.
  [[nodiscard]] Fault first_fault(std::uint32_t group) {
    for (const GroupRow::Member& member : rows_[group].members) {
      for (const std::string_view item : member_items(member.text)) {
        const Term term = set_.term(item);
        if (term.kind == Term::Kind::error) return {&member, item, std::nullopt};
        if (term.kind == Term::Kind::group && set_.is_broken(term.id)) {
          return {&member, item, term.id};
        }
      }
    }
    return {};
  }

  // Each broken group stops at one fault, so there is one path to what broke it.
  void follow(std::uint32_t group) {
    std::vector<std::uint32_t> path;
    std::unordered_set<std::uint32_t> on_path;
    BrokenGroup broken;
    while (true) {
      if (const auto known = out_.find(rows_[group].name); known != out_.end()) {
        broken = known->second;
        break;
      }
      path.push_back(group);
      on_path.insert(group);
      const Fault fault = first_fault(group);
      if (fault.member == nullptr) break;
      const bool circle = fault.group && on_path.contains(*fault.group);
      if (!fault.group || circle) {
        broken = {rows_[group].name, fault.member->id, std::string{fault.item}, circle, false};
        break;
      }
      group = *fault.group;
    }
    for (const std::uint32_t each : path) {
      broken.matches_nothing = !can_match_.contains(set_.representative(each));
      out_.emplace(rows_[each].name, broken);
    }
  }

  void find_what_matches() {
    for (const std::uint32_t group : set_.order()) {
      const auto& members = set_.members(group);
      const bool matches = std::any_of(members.begin(), members.end(), [&](const Term& member) {
        return member.kind != Term::Kind::group || member.negated ||
               can_match_.contains(set_.representative(member.id));
      });
      if (matches) can_match_.insert(group);
    }
  }

  std::span<const GroupRow> rows_;
  AtomTable atoms_;
  GroupSet set_;
  // In the order of their rows, so that the same fault is named again.
  std::set<std::uint32_t> used_;
  std::unordered_set<std::uint32_t> can_match_;
  BrokenGroups out_;
};

}  // namespace

BrokenGroups broken_groups(std::span<const GroupRow> rows, Side side) {
  return Finder{rows, side}.find();
}

}  // namespace policyd
