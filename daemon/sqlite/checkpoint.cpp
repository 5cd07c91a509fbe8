// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/checkpoint.hpp"

#include <utility>

#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/open_file.hpp"

namespace policyd {

namespace {
constexpr int kMaxPasses = 4;
}

Checkpoint::Checkpoint(EventLoop& loop, std::filesystem::path file,
                       std::function<void()> almost_done)
    : loop_(loop),
      file_(std::move(file)),
      almost_done_(std::move(almost_done)),
      thread_("checkpoint", [this] { work(); }) {}

void Checkpoint::start() {
  if (std::exchange(running_, true)) return;
  thread_.change([this] { wanted_ = true; });
}

void Checkpoint::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return wanted_; })) {
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
  // SQLite reports the log as it was when a pass began. Frames added meanwhile, fewer each time
  // under constant traffic, show in the next pass.
  bool all_moved = false;
  int before = 0;
  for (int pass = 0; db_ && pass < kMaxPasses && !thread_.stopping(); ++pass) {
    int in_log = -1;
    int moved = -1;
    const int code =
        sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    all_moved = code == SQLITE_OK && in_log >= 0 && moved == in_log;
    if (!all_moved || moved - std::exchange(before, moved) <= kMinFrames) break;
    // SQLite syncs the file itself once nothing is left to move, which under constant traffic
    // happens on the loop's thread: what is synced here does not hold up an answer there.
    all_moved = sync_file(db_.get());
    if (!all_moved) break;
  }
  loop_.post(guard_.wrap([this, all_moved] {
    running_ = false;
    if (all_moved) almost_done_();
  }));
}

}  // namespace policyd
