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
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

struct sqlite3;

namespace policyd {

// The header of the log's index; the same as long as nobody commits.
using WalHeader = std::array<std::uint64_t, 6>;

// Commits by other connections of this process that change nothing of what the store keeps in
// memory: it need not read everything again for them. Any thread.
class OwnCommits {
 public:
  // One commit, alone, led from one header to the other.
  void add(const WalHeader& from, const WalHeader& to);
  // Whether nothing but such commits lies between the two; false if that is no longer known.
  [[nodiscard]] bool lead(WalHeader from, const WalHeader& to) const;

 private:
  struct Commit {
    WalHeader from{};
    WalHeader to{};
  };
  mutable std::mutex mutex_;  // held for a few comparisons
  std::array<Commit, 64> commits_;
  std::size_t next_ = 0;
};

class WalIndex {
 public:
  // Of the database that `db` has open, until that is closed; null for none.
  void attach(sqlite3* db);
  // What is committed so far is known. Only while `db` holds the write lock: between another's
  // commit and this call there is no moment then.
  void remember();
  // `db` has committed: this is known, too, if nobody else has committed since.
  void remember_own_commit();
  void forget() { known_.reset(); }
  // Whether nobody has committed since remember(), `db` included. False if it is not known.
  [[nodiscard]] bool is_as_remembered() const;
  // If `own` are all commits since what is remembered: they are known now, too.
  bool pass_over(const OwnCommits& own);

  // What is committed now; nullopt if that cannot be read. Only while `db` holds the write lock,
  // or right after its commit.
  std::optional<WalHeader> read();
  // Whether exactly one commit leads from one to the other.
  static bool is_next(const WalHeader& from, const WalHeader& to);

 private:
  [[nodiscard]] std::optional<WalHeader> header() const;

  std::uint64_t* mapped_ = nullptr;  // shared with other processes
  sqlite3* db_ = nullptr;
  std::optional<WalHeader> known_;
};

}  // namespace policyd
