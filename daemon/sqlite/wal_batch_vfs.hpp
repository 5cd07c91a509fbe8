// SPDX-License-Identifier: AGPL-3.0-only
// The frames of a transaction go to SQLite's write-ahead log in one write. SQLite itself writes
// each frame's header and page by themselves, which is two system calls for each page of a batch
// and was a quarter of what storing costs.
//
// A VFS that hands everything to the system's own, but for writes to a -wal file: frames are
// gathered until the one that commits (its header says so: https://sqlite.org/fileformat2.html,
// section 4.1), and that one is not reported as written before all of them are. So nothing is
// published in the index of the log that is not in the log, and an error is the commit's. Whatever
// does not look like the next frame is written at once.
//
// A connection that uses it must set `PRAGMA cache_spill=OFF`: frames come in one go then, with the
// commit, and no transaction that is given up later leaves some behind.
#pragma once

namespace policyd {

// Its name, for sqlite3_open_v2; registered with the first call. Any thread.
const char* wal_frames_vfs();

}  // namespace policyd
