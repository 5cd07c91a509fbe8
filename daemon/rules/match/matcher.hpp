// SPDX-License-Identifier: AGPL-3.0-only
// (rules, request) → the policies that apply to it, in order. A Matcher holds the scratch space of
// one thread. The rules of matching: CBPolicyD, "Policies" (README, "Matching").
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "daemon/protocol/request.hpp"
#include "daemon/rules/match/match_index.hpp"

namespace policyd {

class Matcher {
 public:
  Matcher();
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // The `policy` numbers of the members that match, ascending, each once. The span is valid until
  // the next call. Allocates only while its scratch grows to the size of a new index.
  std::span<const std::uint32_t> match(const MatchIndex& index, const Request& request);

 private:
  struct Scratch;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace policyd
