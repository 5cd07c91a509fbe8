// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/checkpoint.hpp"

#include <utility>

#include "daemon/database.hpp"
#include "daemon/signals.hpp"

namespace policyd {

Checkpoint::Checkpoint(EventLoop& loop, std::filesystem::path file,
                       std::function<void()> almost_done)
    : loop_(loop), file_(std::move(file)), almost_done_(std::move(almost_done)) {
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
  if (bytes < kBeginBytes || under_way_) return;
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
  int in_log = -1;
  int moved = -1;
  // Under constant traffic each pass leaves what came meanwhile: less and less.
  for (int pass = 0; db_ && pass < 8; ++pass) {
    const int code =
        sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    if (code != SQLITE_OK || in_log - moved <= kFewFrames) break;
  }
  const bool few_left = in_log >= 0 && in_log - moved <= kFewFrames;
  loop_.post([self = self_, few_left] {
    if (*self == nullptr) return;
    (*self)->under_way_ = false;
    if (few_left) (*self)->almost_done_();
  });
}

}  // namespace policyd
