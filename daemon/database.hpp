// SPDX-License-Identifier: AGPL-3.0-only
// Opening CBPolicyD's database: making a fresh one with its schema and default rows (schema.sql),
// and taking over one that the Perl daemon wrote. What is ours in it, and unknown to the Perl
// daemon: the nullable column quotas_tracking.State; the table limits_rules_version with one row,
// raised by triggers on the rule tables; the table limits_counted, a ring of hashes (store);
// limits_cleanup, when a clean-up began last (made by the first one).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "daemon/result.hpp"
#include "daemon/sqlite.hpp"

namespace policyd {

enum class OpenMode : std::uint8_t { read_only, read_write };

// Opens an existing file; never makes one. A file that is missing, unreadable or no database is an
// Error that says so. Pragmas are set for our use; the file is not changed.
// `busy_timeout` 0 for the event loop; commands wait a few seconds.
Result<sql::Handle> open_database(const std::filesystem::path& file, OpenMode mode,
                                  std::chrono::milliseconds busy_timeout);

// Brings a CBPolicyD database to what we need: write-ahead log, column State, triggers, our tables.
// Nothing is done, and nothing written, where all is there already. In one transaction.
Result<void> prepare_database(sqlite3* db, std::string_view table_prefix = {});

// A fresh database with schema and default rows at `file`, which must not exist; the folder must.
// It appears whole or not at all (made beside it, then renamed).
Result<void> create_database(const std::filesystem::path& file, std::string_view table_prefix = {});

}  // namespace policyd
