// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/checkpoint.hpp"

#include <algorithm>
#include <utility>

#include "daemon/base/thread_signals.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {

namespace {

constexpr int kMostPasses = 4;

// SQLite itself syncs the database when nothing is left to move, which under constant traffic is
// on the loop's thread: what is synced here does not hold up an answer there.
bool sync_database(sqlite3* db) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, nullptr, SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr) return false;
  return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) == SQLITE_OK;
}

}  // namespace

Checkpoint::Checkpoint(EventLoop& loop, std::filesystem::path file, std::int64_t largest_log,
                       std::function<void()> almost_done)
    : loop_(loop),
      file_(std::move(file)),
      begin_bytes_(std::min(kBeginBytes, largest_log / 2)),
      almost_done_(std::move(almost_done)) {
  thread_ = std::thread([this] {
    block_signals();
    work();
  });
}

Checkpoint::~Checkpoint() {
  *self_ = nullptr;
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Checkpoint::log_is(std::int64_t bytes) {
  if (bytes < begin_bytes_ || under_way_) return;
  under_way_ = true;
  const std::lock_guard lock{mutex_};
  wanted_ = true;
  wake_.notify_one();
}

void Checkpoint::work() {
  std::unique_lock lock{mutex_};
  while (true) {
    wake_.wait(lock, [this] { return stop_ || wanted_; });
    if (stop_) return;
    wanted_ = false;
    lock.unlock();
    checkpoint();
    lock.lock();
  }
}

void Checkpoint::checkpoint() {
  if (!db_) {
    // Opening reads, without which a connection cannot checkpoint.
    auto db = open_database(file_, OpenMode::read_write, std::chrono::milliseconds{0});
    if (db) db_ = std::move(*db);
  }
  // SQLite reports the log as it was when a pass began: what came meanwhile, less and less under
  // constant traffic, shows in the next one.
  bool all_moved = false;
  int before = 0;
  for (int pass = 0; db_ && pass < kMostPasses && !stop_; ++pass) {
    int in_log = -1;
    int moved = -1;
    const int code =
        sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    all_moved = code == SQLITE_OK && in_log >= 0 && moved == in_log;
    if (!all_moved || moved - std::exchange(before, moved) <= kFewFrames) break;
    all_moved = sync_database(db_.get());
    if (!all_moved) break;
  }
  loop_.post([self = self_, all_moved] {
    if (*self == nullptr) return;
    (*self)->under_way_ = false;
    if (all_moved) (*self)->almost_done_();
  });
}

}  // namespace policyd
