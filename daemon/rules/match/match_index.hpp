// SPDX-License-Identifier: AGPL-3.0-only
// The index of all policy members and groups. Built once per snapshot of the rules, on the thread
// that loads them; immutable afterwards. A Matcher searches it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "daemon/rules/match/row_problem.hpp"
#include "daemon/rules/match/rows.hpp"

namespace policyd {

class MatchIndex {
 public:
  // Appends the problems of rows to `problems`.
  MatchIndex(std::span<const MemberRow> members, std::span<const GroupRow> groups,
             std::vector<RowProblem>& problems);
  ~MatchIndex();
  MatchIndex(MatchIndex&&) noexcept;
  MatchIndex& operator=(MatchIndex&&) noexcept;

 private:
  friend class Matcher;
  struct Data;
  std::unique_ptr<Data> data_;
};

}  // namespace policyd
