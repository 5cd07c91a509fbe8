// SPDX-License-Identifier: AGPL-3.0-only
// The file that a connection has open, reached through SQLite's own descriptor: another descriptor
// of the same file, once closed, would drop SQLite's locks on it (fcntl locks belong to the
// process). The interface is documented (SQLITE_FCNTL_FILE_POINTER, sqlite3_io_methods), but SQLite
// does not expect the calls: only use it for what changes nothing of its state. The thread of the
// connection.
#pragma once

#include <span>

struct sqlite3;

namespace policyd {

// Writes what the kernel still buffers of the database file to the disk; false on failure. After a
// checkpoint that moved everything SQLite syncs only at the next one, on the thread that runs it.
bool sync_file(sqlite3* db);

// Fills `bytes` from the start of the file, which may differ from the page that SQLite reads from
// the write-ahead log. SQLITE_OK, SQLITE_IOERR_SHORT_READ if the file is shorter, or an error.
int read_file_start(sqlite3* db, std::span<char> bytes);

}  // namespace policyd
