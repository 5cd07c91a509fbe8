// SPDX-License-Identifier: AGPL-3.0-only
// Moves what the write-ahead log holds into the database file, on a thread with a connection of its
// own, so that no answer waits for the disk. PASSIVE only: it never blocks a writer. Unless a
// reader holds an older snapshot, `almost_done` is then posted to the loop, which moves the few
// frames that were added meanwhile between two batches; the next writer restarts the log.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "daemon/base/worker_thread.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class Checkpoint {
 public:
  // At most this many frames are moved while a batch waits; with more, another pass comes first.
  static constexpr int kMinFrames = 500;

  Checkpoint(EventLoop& loop, std::filesystem::path file, std::function<void()> almost_done);

  // Unless one is in progress. The loop's thread; cheap.
  void start();

 private:
  void work();
  void checkpoint();

  EventLoop& loop_;
  std::filesystem::path file_;
  std::function<void()> almost_done_;
  bool running_ = false;  // the loop's thread
  sql::Handle db_;        // the thread's
  bool wanted_ = false;   // shared
  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
