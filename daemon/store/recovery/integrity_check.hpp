// SPDX-License-Identifier: AGPL-3.0-only
// Whether a file is a sound database: SQLite's quick check, and the first bytes on the disk, which
// a page in the write-ahead log may hide. The thread of the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

struct Soundness {
  enum class State : std::uint8_t {
    sound,       // or busy at the moment
    damaged,     // not a database, or an inconsistent one
    unreadable,  // it could not be read at all: permissions, the disk
  };
  State state = State::sound;
  std::string what;  // SQLite's message
};

// `quick` reads only the rules of a large database; `thorough` takes a second for some 100 MiB.
enum class Care : std::uint8_t { quick, thorough };

Soundness check_soundness(sqlite3* db, std::string_view table_prefix, Care care);

}  // namespace policyd
