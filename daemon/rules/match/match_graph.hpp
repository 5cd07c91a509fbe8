// SPDX-License-Identifier: AGPL-3.0-only
// What a MatchIndex holds: a graph whose nodes are atoms (items) and groups, of both sides.
//
// Each node has a value that it has when a request fulfils no atom at all; a request changes
// ("flips") a few atoms, those flip groups, and so on upwards. A policy member matches when certain
// nodes are flipped and certain others are not. It is looked at only when one node flips, its
// trigger: of the nodes that must flip the one that the fewest members need. So neither the number
// of policies nor the size of groups costs anything; what costs are flips.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "daemon/rules/match/atom_table.hpp"
#include "daemon/rules/match/match_index.hpp"

namespace policyd {

struct MatchGraph {
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
  std::uint32_t first_group = 0;         // the groups, each behind those it contains
  Lists<Link> containing;                // by node: the groups with it; flag: with `!`
  std::vector<std::uint32_t> satisfied;  // by group: its members that match without any flip
  Lists<Link> conditions;                // by member row: nodes, and whether they must flip
  std::vector<std::uint32_t> policies;   // by member row
  Lists<std::uint32_t> triggered;        // by node: member rows to look at when it flips
  std::vector<std::uint32_t> always;     // member rows that nothing triggers

  [[nodiscard]] std::size_t nodes() const { return first_group + satisfied.size(); }
};

struct MatchIndex::Data {
  MatchGraph graph;
};

}  // namespace policyd
