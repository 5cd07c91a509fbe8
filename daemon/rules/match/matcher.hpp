// SPDX-License-Identifier: AGPL-3.0-only
// (rules, request) → the policies that apply to it, in order. A Matcher holds the scratch space of
// one thread. The rules of matching: CBPolicyD, "Policies" (README, "Matching").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/match_index.hpp"

namespace policyd {

class Matcher {
 public:
  // The `policy` numbers of the members that match, ascending, each once. The span is valid until
  // the next call. Allocates only while its scratch grows to the size of a new index.
  // An address with an extension also matches what the user's address does.
  std::span<const std::uint32_t> match(const MatchIndex& index, const Request& request,
                                       const Extensions& extensions = {});

 private:
  void begin(const MatchIndex& index);
  void flip(const MatchIndex& index, std::uint32_t node);
  void settle(const MatchIndex& index);
  void collect(const MatchIndex& index);
  void try_row(const MatchIndex& index, std::uint32_t row);

  // Marks hold the number of the request that set them, so that they need not be cleared.
  std::vector<std::uint32_t> flipped_at_;  // by node
  std::vector<std::uint32_t> counted_at_;  // by group
  std::vector<std::uint32_t> matching_;    // by group: its matching members, if counted
  std::vector<std::uint32_t> flipped_;     // nodes
  std::vector<std::uint32_t> to_check_;    // groups, a heap with the lowest number on top
  std::vector<std::uint32_t> result_;
  std::string buffer_;
  std::uint32_t now_ = 0;
};

}  // namespace policyd
