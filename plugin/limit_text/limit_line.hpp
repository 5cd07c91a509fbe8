// SPDX-License-Identifier: AGPL-3.0-only
// A stored limit as the command that creates it, for `show` and `export`. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/rows/limits.hpp"

namespace limits {

// What `send` or `receive` needs to create this limit; nullopt if they cannot: members or Tracks
// other than ours, verdicts such as FILTER, texts that differ from each other, or another limit
// with the same direction, target and --per.
std::optional<WantedLimit> wanted_of(const StoredLimit& limit);

// Whether a policy of this name would be taken for a block or a signal.
bool is_reserved_name(std::string_view policy_name);

// "send 100/h --domain example.org": wanted_limits reads it back as the same limit. Defaults are
// omitted, except --everyone.
std::string line_of(const WantedLimit& wanted);

// Splits a line into words; a word that begins with '#' starts a comment. Nullopt if a closing
// quotation mark is missing.
std::optional<std::vector<std::string>> words_of(std::string_view line);

// "each user of this server may send 100 messages an hour; more is deferred", or for limits that
// have no command line "@example.net to anyone: 10/h, each Recipient:user@domain, reject".
std::string describe(const StoredLimit& limit);

}  // namespace limits
