// SPDX-License-Identifier: AGPL-3.0-only
// What `show`, `set`, `on`, `off` and `remove` share: limits given by their IDs and changed in one
// transaction.
#pragma once

#include <functional>

#include "plugin/cli/command.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

inline constexpr std::size_t kMaxIds = 1000;
inline constexpr Option kDryRunOption = {"dry-run", "",
                                         "show what would be done without changing anything"};

tl::expected<std::int64_t, Failure> parse_id(const std::string& word);
// At least one; duplicates are dropped.
tl::expected<std::vector<std::int64_t>, Failure> parse_ids(const std::vector<std::string>& words);

// The first quota ID of the limit that has a quota `id`; otherwise an Error that says why not.
Result<std::int64_t> existing_limit(const AllLimits& all, std::int64_t id);

// Changes the limit `id` of `all`, which exists, and returns the lines to print.
using Change = std::function<Result<std::vector<std::string>>(ChangeSet& changes, AllLimits& all,
                                                              std::int64_t id, bool dry)>;

// Changes all of `ids`, or none of them.
Outcome change_each(const std::vector<std::int64_t>& ids, const Arguments& arguments,
                    Context& context, const Change& change);

}  // namespace limits
