// SPDX-License-Identifier: AGPL-3.0-only
// Tables and columns that a CBPolicyD database lacks compared to a fresh one (schema.sql): those of
// PolicyD 2.0, those made without some modules, and those whose tables were dropped. The thread of
// the connection.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// "table accounting", "quotas.LastQuota"; empty if everything is there. What we add ourselves
// (database.hpp) does not count. An Error if the tables cannot be listed.
Result<std::vector<std::string>> missing_parts(sqlite3* db, std::string_view table_prefix);

// Adds them within the caller's transaction: tables without rows, columns with the value that a
// fresh database gives them. An Error if this is not a CBPolicyD database.
Result<void> add_missing_parts(sqlite3* db, std::string_view table_prefix);

// Lets this connection read the rules of a database that cannot be changed: temporary views, which
// hide incomplete rule tables, supply what is missing.
Result<void> supply_missing_parts(sqlite3* db, std::string_view table_prefix);

// The columns of each table of a fresh database, by the table's name without prefix.
Result<std::map<std::string, std::vector<std::string>>> standard_columns();

// An Error unless CBPolicyD made the database, though it may lack parts.
Result<void> check_is_policyd(sqlite3* db, std::string_view table_prefix);

}  // namespace policyd
