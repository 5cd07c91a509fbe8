// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_index.hpp"

#include <sqlite3.h>

#include <atomic>

namespace policyd {

namespace {
constexpr int kIndexBlock = 32768;  // bytes; the header is at the start of the first
}  // namespace

void WalIndex::attach(sqlite3* db) {
  db_ = db;
  mapped_ = nullptr;
  known_.reset();
}

// The mapping belongs to the connection, which keeps it until it is closed.
void WalIndex::remember() {
  if (mapped_ == nullptr && db_ != nullptr) {
    sqlite3_file* file = nullptr;
    void volatile* block = nullptr;
    constexpr int kCreateNone = 0;
    if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK &&
        file->pMethods != nullptr && file->pMethods->iVersion >= 2 &&
        file->pMethods->xShmMap(file, 0, kIndexBlock, kCreateNone, &block) == SQLITE_OK) {
      mapped_ = static_cast<std::uint64_t*>(const_cast<void*>(block));
    }
  }
  known_ = header();
}

bool WalIndex::is_as_remembered() const { return known_ && header() == known_; }

std::optional<WalIndex::Header> WalIndex::header() const {
  if (mapped_ == nullptr) return std::nullopt;
  Header read{};
  for (std::size_t i = 0; i < read.size(); ++i) {
    read.at(i) = std::atomic_ref{mapped_[i]}.load(std::memory_order_acquire);
  }
  return read;
}

}  // namespace policyd
