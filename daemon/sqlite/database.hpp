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
#include <span>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// `serve` is read_write for many small transactions: each goes into the log in one write, and stays
// in memory until then (wal_frames).
enum class OpenMode : std::uint8_t { read_only, read_write, serve };

// Opens an existing file; never makes one. A file that is missing, unreadable or no database is an
// Error that says so. Pragmas are set for our use; the file is not changed.
// `busy_timeout` 0 for the event loop; commands wait a few seconds.
Result<sql::Handle> open_database(const std::filesystem::path& file, OpenMode mode,
                                  std::chrono::milliseconds busy_timeout);

// The connection alone, before anything is read: closing it leaves the write-ahead log as it is,
// even where it was the last one. For looking at files that may not be what they should be.
Result<sql::Handle> connect_database(const std::filesystem::path& file);

// Closing this connection leaves the write-ahead log as it is.
void keep_log_on_close(sqlite3* db);

// Brings a CBPolicyD database to what we need: write-ahead log, column State, triggers, our tables.
// Nothing is done, and nothing written, where all is there already. In one transaction.
Result<void> prepare_database(sqlite3* db, std::string_view table_prefix = {});

// The same within the caller's transaction, which it leaves as it is where all is there: a table
// that was dropped and made anew has lost its triggers. True where something was missing; the rules
// version is above `version` then, so that all rules are read again.
Result<bool> mend_database(sqlite3* db, std::string_view table_prefix, std::int64_t version);

// The tables whose rows decide; a change to any of them raises the rules version.
std::span<const char* const> rule_tables();

// A fresh database with schema and default rows at `file`, which must not exist; the folder must.
// It appears whole or not at all (made beside it, then renamed).
Result<void> create_database(const std::filesystem::path& file, std::string_view table_prefix = {});

}  // namespace policyd
