// SPDX-License-Identifier: AGPL-3.0-only
// Whether a file is a sound database: its first bytes as they are on the disk, which a page in the
// write-ahead log may hide, and SQLite's quick check. Any thread that has the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

struct Soundness {
  enum class State : std::uint8_t {
    sound,       // or busy at the moment
    damaged,     // no database, or one that contradicts itself
    unreadable,  // it could not be read at all: permissions, the disk
  };
  State state = State::sound;
  std::string what;  // in SQLite's words
};

// `glance`: of a large database only the rules are read; a second passes for some hundred MiB.
enum class Care : std::uint8_t { glance, thorough };

Soundness check_soundness(sqlite3* db, std::string_view table_prefix, Care care);

}  // namespace policyd
