// SPDX-License-Identifier: AGPL-3.0-only
// What `show`, `set`, `on`, `off` and `remove` share: limits named by their numbers, changed in one
// transaction.
#pragma once

#include <functional>

#include "plugin/cli/command.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

inline constexpr Option kDryRunOption = {"dry-run", "",
                                         "say what would be done, and change nothing"};

tl::expected<std::int64_t, Failure> parse_id(const std::string& word);
// All of `words`, each once; at least one.
tl::expected<std::vector<std::int64_t>, Failure> parse_ids(const std::vector<std::string>& words);

// The limit with this number, or why there is none.
Result<std::int64_t> existing_limit(const AllLimits& all, std::int64_t id);

// Changes one limit of `all` and returns what to say. The ID is that of a limit there.
using Change = std::function<Result<std::vector<std::string>>(Changes& changes, AllLimits& all,
                                                              std::int64_t id, bool dry)>;

// Each of `ids` in one transaction, all or nothing.
Outcome change_limits(const std::vector<std::int64_t>& ids, const Arguments& arguments,
                      Context& context, const Change& change);

}  // namespace limits
