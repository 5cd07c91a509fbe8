// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/commit_probe.hpp"

#include <sqlite3.h>

namespace policyd {

namespace {
constexpr int kIndexBlock = 32768;  // bytes, of which the first begin with the header
}  // namespace

void WalIndex::attach(sqlite3* db) {
  db_ = db;
  mapped_ = nullptr;
  known_.reset();
}

// The mapping is the connection's own, which keeps it until it is closed.
void WalIndex::remember() {
  if (mapped_ == nullptr && db_ != nullptr) {
    sqlite3_file* file = nullptr;
    void volatile* block = nullptr;
    constexpr int kMakeNone = 0;
    if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
        file->pMethods != nullptr && file->pMethods->iVersion >= 2 &&
        file->pMethods->xShmMap(file, 0, kIndexBlock, kMakeNone, &block) == SQLITE_OK) {
      mapped_ = static_cast<const volatile std::uint64_t*>(block);
    }
  }
  known_ = header();
}

bool WalIndex::is_as_remembered() const { return known_ && header() == known_; }

// One that is being written is unlike any other: it has a counter of commits and a checksum.
std::optional<WalIndex::Header> WalIndex::header() const {
  if (mapped_ == nullptr) return std::nullopt;
  Header read{};
  for (std::size_t i = 0; i < read.size(); ++i) read[i] = mapped_[i];
  return read;
}

}  // namespace policyd
