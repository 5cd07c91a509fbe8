// SPDX-License-Identifier: AGPL-3.0-only
// Whether anybody has committed to a database in WAL mode since we last looked, without a system
// call: by the header of the log's index, which all its connections map into memory and which each
// commit changes (https://sqlite.org/walformat.html, section 2.1). SQLite asks the same of it at
// the begin of each transaction, but with locks.
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
  // What is committed so far is known. To be called while `db` holds the write lock: between
  // another's commit and this call there is no moment then.
  void remember();
  void forget() { known_.reset(); }
  // Whether nothing was committed since remember(), by `db` neither. False where it is not known.
  [[nodiscard]] bool is_as_remembered() const;

 private:
  using Header = std::array<std::uint64_t, 6>;
  [[nodiscard]] std::optional<Header> header() const;

  const volatile std::uint64_t* mapped_ = nullptr;
  sqlite3* db_ = nullptr;
  std::optional<Header> known_;
};

}  // namespace policyd
