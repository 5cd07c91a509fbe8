// SPDX-License-Identifier: AGPL-3.0-only
// The groups that the lists of one side use, sorted so that each follows the groups it contains,
// with all errors resolved in advance: a request then only counts members.
//
// CBPolicyD tries a group's members in order and stops at the first that matches or is an error (a
// group that contains itself, an impossible address). So members before an error can match, members
// after it never do. A group with such an error, at whatever depth, is "broken": either it matches
// or its list fails, even with `!`. Used while an index is built.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/rules/match/atom_table.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/row_problem.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

// An item with its text resolved.
struct Term {
  enum class Kind : std::uint8_t { atom, group, error };
  Kind kind = Kind::atom;
  bool negated = false;
  std::uint32_t id = 0;  // an atom of the AtomTable, or the index of a GroupRow
};

class GroupSet {
 public:
  // Both are kept by reference until resolve() is done.
  GroupSet(Side side, std::span<const GroupRow> rows, AtomTable& atoms);

  // An item of a list of this side. Adds a group to the set; resolve() adds the groups it contains.
  Term term(std::string_view text);

  // What is wrong with such an item; nullopt if it is valid.
  [[nodiscard]] std::optional<RowProblem::Kind> problem(std::string_view text) const;

  // Parses and sorts the groups of the set. Call it before the functions below. Broken groups are
  // appended to `problems`.
  void resolve(std::vector<RowProblem>& problems);

  // The groups in order. Groups that contain each other are merged into one.
  [[nodiscard]] const std::vector<std::uint32_t>& order() const { return order_; }
  // A group matches if any of these does. None of them is an error.
  [[nodiscard]] const std::vector<Term>& members(std::uint32_t group) const {
    return groups_.at(group).members;
  }
  // The group in order() that `group` was merged into, or itself.
  [[nodiscard]] std::uint32_t representative(std::uint32_t group) const {
    return groups_.at(group).representative;
  }
  [[nodiscard]] bool is_broken(std::uint32_t group) const { return !groups_.at(group).sound; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffff;
  enum class Visit : std::uint8_t { not_yet, open, done };
  struct Group {
    std::vector<Term> members;
    std::vector<std::uint32_t> users;  // groups that contain it, once for each item
    std::uint32_t representative = 0;
    std::uint32_t next = kNone;    // the broken group at which this broken one stops
    std::uint32_t open_items = 0;  // not yet known to be sound
    bool used = false;
    bool sound = false;
    Visit visit = Visit::not_yet;
  };

  void parse(std::uint32_t group);
  void find_sound();
  void cut(std::uint32_t group, std::vector<RowProblem>& problems);
  void order_broken(std::uint32_t first);
  void merge_loop(std::vector<std::uint32_t>& path, std::uint32_t entry);
  [[nodiscard]] bool is_error(const Term& term) const;

  Side side_;
  std::span<const GroupRow> rows_;
  AtomTable& atoms_;
  std::unordered_map<std::string_view, std::uint32_t> by_name_;
  std::vector<Group> groups_;        // by index in rows_
  std::vector<std::uint32_t> used_;  // the groups of the set
  std::vector<std::uint32_t> order_;
};

}  // namespace policyd
