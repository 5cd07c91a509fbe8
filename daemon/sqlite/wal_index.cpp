// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/wal_index.hpp"

#include <sqlite3.h>

#include <atomic>
#include <cstring>

namespace policyd {

namespace {
constexpr int kIndexBlock = 32768;     // bytes; the header is at the start of the first
constexpr std::size_t kChangesAt = 8;  // bytes; the counter of commits

std::uint32_t changes_of(const WalHeader& header) {
  std::array<char, sizeof(WalHeader)> bytes{};
  std::memcpy(bytes.data(), header.data(), bytes.size());
  std::uint32_t changes = 0;
  std::memcpy(&changes, bytes.data() + kChangesAt, sizeof(changes));
  return changes;
}
}  // namespace

void OwnCommits::add(const WalHeader& from, const WalHeader& to) {
  const std::lock_guard lock{mutex_};
  commits_.at(next_) = {from, to};
  next_ = (next_ + 1) % commits_.size();
}

bool OwnCommits::lead(WalHeader from, const WalHeader& to) const {
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < commits_.size(); ++i) {  // from the oldest
    const Commit& commit = commits_.at((next_ + i) % commits_.size());
    if (commit.from == from) from = commit.to;
    if (from == to) return true;
  }
  return false;
}

void WalIndex::attach(sqlite3* db) {
  db_ = db;
  mapped_ = nullptr;
  known_.reset();
}

// The mapping belongs to the connection, which keeps it until it is closed.
std::optional<WalHeader> WalIndex::read() {
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
  return header();
}

void WalIndex::remember() { known_ = read(); }

void WalIndex::remember_own_commit() {
  const auto now = header();
  if (known_ && now && is_next(*known_, *now)) known_ = now;
}

bool WalIndex::is_as_remembered() const { return known_ && header() == known_; }

bool WalIndex::pass_over(const OwnCommits& own) {
  const auto now = header();
  if (!known_ || !now || !own.lead(*known_, *now)) return false;
  known_ = now;
  return true;
}

bool WalIndex::is_next(const WalHeader& from, const WalHeader& to) {
  return changes_of(to) == changes_of(from) + 1;
}

std::optional<WalHeader> WalIndex::header() const {
  if (mapped_ == nullptr) return std::nullopt;
  WalHeader read{};
  for (std::size_t i = 0; i < read.size(); ++i) {
    read.at(i) = std::atomic_ref{mapped_[i]}.load(std::memory_order_acquire);
  }
  return read;
}

}  // namespace policyd
