// SPDX-License-Identifier: AGPL-3.0-only
// The highest ID that each rule table has ever given to a row (AUTOINCREMENT), as one line of text:
// "policies=6 quotas=9". Hosts hand it over with their rules, so that none gives the ID of a
// removed limit again, whose counters and events it would have. The thread of the connection.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// Of this host, or those of `others`, if they are higher. Empty if no table has given any, or none
// remembers it.
Result<std::string> given_ids(sqlite3* db, std::string_view table_prefix,
                              std::string_view others = {});

// In the caller's transaction: never lower than they are here. What is not of this text is ignored.
Result<void> raise_given_ids(sqlite3* db, std::string_view table_prefix, std::string_view ids);

}  // namespace policyd
