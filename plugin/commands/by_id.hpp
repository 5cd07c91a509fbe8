// SPDX-License-Identifier: AGPL-3.0-only
// What `show`, `set`, `on`, `off` and `remove` share: limits given by their IDs and changed in one
// transaction.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

inline constexpr std::size_t kMaxIds = 1000;
inline constexpr Option kDryRunOption = {"dry-run", "",
                                         "show what would be done without changing anything"};

tl::expected<std::int64_t, Failure> parse_id(const std::string& word);
// At least one; duplicates are dropped.
tl::expected<std::vector<std::int64_t>, Failure> parse_ids(const std::vector<std::string>& words);

// The words of `set`: an ID and the figures that its limit is to have.
struct NewFigures {
  std::int64_t id = 0;
  std::vector<Rate> rates;
};
tl::expected<NewFigures, Failure> parse_new_figures(const std::vector<std::string>& words);

// The first quota ID of the limit that has a quota `id`; otherwise an Error that says why not.
Result<std::int64_t> existing_limit(const AllLimits& all, std::int64_t id);

// What a command does to each limit, and what it says about it.
struct ChangeOfEach {
  std::function<void(LimitPlan& plan, std::int64_t id)> change;
  std::function<std::vector<std::string>(const ApplyResult& result, bool dry)> lines;
  // May be empty.
  std::function<std::vector<std::string>(const ApplyResult& result)> warnings;
};

// Changes all of `ids`, or none of them.
Outcome change_each(const std::vector<std::int64_t>& ids, const Arguments& arguments,
                    Context& context, const ChangeOfEach& change);

}  // namespace limits
