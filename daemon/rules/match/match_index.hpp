// SPDX-License-Identifier: AGPL-3.0-only
// The index of all policy members and groups: a graph whose nodes are atoms (items) and groups, of
// both sides. Built once per snapshot of the rules, on the thread that loads them; immutable
// afterwards. A Matcher searches it.
//
// Each node has a value for a request that matches no atom at all. A request changes ("flips") a
// few atoms, those flip groups, and so on upwards. A policy member matches if certain nodes are
// flipped and certain others are not. It is checked only when its trigger flips: of the nodes that
// must flip the one that the fewest members need. So the cost of a request is the number of flips;
// the number of policies and the size of groups cost nothing.
//
// Example: policy 7 has a member with Source "%staff,!192.0.2.0/24" and Destination "any". The
// group staff has the members "@corp.test" and "%bosses", and bosses has "!eve@corp.test".
//
//   atoms    1 192.0.2.0/24    2 @corp.test    3 eve@corp.test
//   groups   4 bosses          5 staff         each after the groups it contains
//
// Without any flip "!eve@corp.test" matches, so bosses has one satisfied member and matches, and
// with it staff: satisfied = {1, 1}. The member row therefore needs staff not to flip, and
// 192.0.2.0/24 not to flip. No node has to flip, so the row is in `always`.
//
// A request from eve@corp.test at 198.51.100.1 flips the atoms 2 and 3. Atom 2 adds a matching
// member to staff: 2. Atom 3 takes one from bosses: 0, so bosses flips, which takes one from staff:
// 1, still above 0. Staff has not flipped, nor has 192.0.2.0/24: policy 7 matches. If eve's address
// were eve@home.test, no atom would flip and the policy would match as well; if the client were
// 192.0.2.9, atom 1 would flip and it would not.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/rules/match/atom_table.hpp"
#include "daemon/rules/match/row_problem.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

struct MatchIndex {
  // Appends the problems of rows to `problems`.
  MatchIndex(std::span<const MemberRow> members, std::span<const GroupRow> groups,
             std::vector<RowProblem>& problems);

  // A reference to a node: its number, and one bit.
  struct Link {
    std::uint32_t node = 0;
    bool flag = false;
  };
  // Lists of different length in two arrays: list i is items[begin[i]..begin[i + 1]).
  template <typename T>
  struct Lists {
    std::vector<std::uint32_t> begin;
    std::vector<T> items;

    [[nodiscard]] std::span<const T> operator[](std::size_t i) const {
      return std::span<const T>(items).subspan(begin[i], begin[i + 1] - begin[i]);
    }
  };

  AtomTable atoms;                       // nodes 0..first_group-1
  std::uint32_t first_group = 0;         // then the groups, each after those it contains
  Lists<Link> containing;                // by node: the groups it is in; flag: with `!`
  std::vector<std::uint32_t> satisfied;  // by group: its members that match without any flip
  Lists<Link> conditions;                // by member row: nodes, and whether they must flip
  std::vector<std::uint32_t> policies;   // by member row
  Lists<std::uint32_t> triggered;        // by node: member rows to check when it flips
  std::vector<std::uint32_t> always;     // member rows without a trigger

  [[nodiscard]] std::size_t nodes() const { return first_group + satisfied.size(); }
};

}  // namespace policyd
