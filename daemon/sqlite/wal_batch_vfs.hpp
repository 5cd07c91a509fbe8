// SPDX-License-Identifier: AGPL-3.0-only
// Writes the frames of a transaction to SQLite's write-ahead log in one system call. SQLite itself
// writes the header and the page of each frame separately: two calls for each page of a batch.
//
// A VFS that passes everything to the default one, except writes to a -wal file: frames are
// buffered until the one that commits (its header marks it: https://sqlite.org/fileformat2.html,
// section 4.1), and the write of that one returns only when all of them are written. So the log's
// index never refers to a frame that is not in the log, and an error is the commit's. Anything that
// does not look like the next frame is written at once.
//
// A connection that uses it must set `PRAGMA cache_spill=OFF`: all frames are then written by the
// commit, and a transaction that is rolled back leaves none.
//
// What it gains (scripts/bench --against the same build without it; two cores of an AMD EPYC, Linux
// 6.18, SQLite 3.40.1): 100 connections with 100,000 senders at random, 1.24 of the speed and 19 %
// less processor time for a request; 10 connections, all counted, 1.05 of the speed.
//
// The order of SQLite's writes is not documented. The tests of this VFS and of the store pass with
// SQLite 3.37.2, 3.40.1, 3.46.0 and 3.54.1. With a version that writes in another order the frames
// do not match and are written one by one, as by the default VFS; the test WritesATransactionAtOnce
// fails then.
#pragma once

namespace policyd {

// Its name, for sqlite3_open_v2; null if it cannot be registered, which leaves the default VFS. Any
// thread.
const char* wal_batch_vfs();

}  // namespace policyd
