// SPDX-License-Identifier: AGPL-3.0-only
// Opening CBPolicyD's database: creating a fresh one with its schema and default rows (schema.sql),
// and taking over one that the Perl daemon wrote. What we add, and the Perl daemon ignores: the
// nullable column quotas_tracking.State; the table limits_rules_version with one row, raised by
// triggers on the rule tables; the table limits_counted, a ring of hashes (pending_writes);
// limits_events, what admins are told (events/event_rows); limits_cleanup, the start of the last
// clean-up (created by the first one).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

// SQLite's settings for the whole process: before its first use, on the only thread. Without it
// everything works, more slowly.
void configure_sqlite();

// `serve` is read_write for many small transactions: each stays in memory until its commit, and
// goes into the log in one write (wal_batch_vfs).
enum class OpenMode : std::uint8_t { read_only, read_write, serve };

// Opens an existing file; never creates one. A missing file, an unreadable one and one that is not
// a database are Errors that say so. Sets pragmas for our use; does not change the file.
// `busy_timeout` is 0 for the event loop; commands wait a few seconds.
Result<sql::Handle> open_database(const std::filesystem::path& file, OpenMode mode,
                                  std::chrono::milliseconds busy_timeout);

// Opens the connection without reading anything; closing it leaves the write-ahead log unchanged,
// even if it was the last one. For inspecting files that may be damaged.
Result<sql::Handle> connect_database(const std::filesystem::path& file);

// Closing this connection leaves the write-ahead log unchanged.
void keep_log_on_close(sqlite3* db);

// Adds what we need to a CBPolicyD database: missing parts (missing_parts.hpp), the write-ahead
// log, column State, triggers, our tables. Writes nothing if everything is there. In one
// transaction.
Result<void> prepare_database(sqlite3* db, std::string_view table_prefix = {});

// The same within the caller's transaction: a table that was dropped and recreated has lost its
// triggers, one that was only dropped is missing. True if something was missing; the rules version
// then exceeds `version`, so that all rules are reloaded.
Result<bool> repair_schema(sqlite3* db, std::string_view table_prefix, std::int64_t version);

// The tables whose rows decide; a change to any of them raises the rules version.
std::span<const char* const> rule_tables();

// Creates a database with schema and default rows at `file`, which must not exist or be empty; the
// folder must exist. It appears whole or not at all (created beside it, then linked).
Result<void> create_database(const std::filesystem::path& file, std::string_view table_prefix = {});

// Removes the file, its log, the log's index and its journal, as far as they exist.
void remove_database(const std::filesystem::path& file);

}  // namespace policyd
