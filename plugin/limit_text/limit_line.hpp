// SPDX-License-Identifier: AGPL-3.0-only
// A stored limit as one would type it, for `show` and `export`. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// What `send` or `receive` would have to be told for this limit; nullopt where it cannot be said:
// other members or Tracks than ours, verdicts like FILTER, texts that differ from each other, or
// another limit of the same direction, target and --per.
std::optional<WantedLimit> wanted_of(const AllLimits& all, const StoredLimit& limit);

// "send 100/h --domain example.org": what wanted_limits reads back as the same. Defaults are left
// out, but for --everyone.
std::string line_of(const WantedLimit& wanted);

// Words as a shell and a file of limits read them back: in single quotation marks where needed.
std::string quoted(std::string_view word);
// The words of a line; '#' at the beginning of one starts a comment. Nullopt where a quotation mark
// is not closed.
std::optional<std::vector<std::string>> words_of(std::string_view line);

// "each user of this server may send 100 messages an hour; more is deferred", or for limits that
// have no such words "@example.net to anyone: 10/h, each Recipient:user@domain, reject".
std::string describe(const AllLimits& all, const StoredLimit& limit);

}  // namespace limits
