// SPDX-License-Identifier: AGPL-3.0-only
// Whether anybody has committed to a database in WAL mode since we last looked, without a system
// call: every commit changes the header of the log's index, which all connections map into memory
// (https://sqlite.org/walformat.html, section 2.1). `PRAGMA data_version` tells the same by two
// fcntl() a batch.
//
// What it gains (scripts/bench --against the same build with `PRAGMA data_version`; two cores of an
// AMD EPYC, Linux 6.18, SQLite 3.40.1), with mail that is refused: one connection 1.11 of the
// speed, ten connections 1.13.
//
// SQLite does not expect this reading, which takes none of its locks: it compares only, and every
// word is read atomically. A header that is being written differs from the one before (it has a
// counter of commits and a checksum), and then the caller asks SQLite. The tests pass with SQLite
// 3.40.1 and 3.46.1 (`scripts/test --full`); with a version that keeps its counter elsewhere
// SeesACommitOfAnotherAndOneOfOurOwn fails.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

struct sqlite3;

namespace policyd {

class WalIndex {
 public:
  // Of the database that `db` has open, until that is closed; null for none.
  void attach(sqlite3* db);
  // What is committed so far is known. Only while `db` holds the write lock: between another's
  // commit and this call there is no moment then.
  void remember();
  void forget() { known_.reset(); }
  // Whether nobody has committed since remember(), `db` included. False if it is not known.
  [[nodiscard]] bool is_as_remembered() const;

 private:
  using Header = std::array<std::uint64_t, 6>;
  [[nodiscard]] std::optional<Header> header() const;

  std::uint64_t* mapped_ = nullptr;  // shared with other processes
  sqlite3* db_ = nullptr;
  std::optional<Header> known_;
};

}  // namespace policyd
