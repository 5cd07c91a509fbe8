// SPDX-License-Identifier: AGPL-3.0-only
// Moves what the write-ahead log holds into the database file, on a thread with a connection of
// its own, so that no answer waits for the disk. PASSIVE only: it never stops a writer. Unless
// somebody reads what is older, `almost_done` is posted to the loop, which moves the little that
// came meanwhile between two batches; the next writer then begins the log anew.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "daemon/loop/event_loop.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class Checkpoint {
 public:
  // The size of the log at which a checkpoint begins; half of the largest where that is less.
  static constexpr std::int64_t kBeginBytes = 32 * 1024 * 1024;
  // So few frames are moved while a batch waits; if there are more, another pass goes before.
  static constexpr int kFewFrames = 500;

  Checkpoint(EventLoop& loop, std::filesystem::path file, std::int64_t largest_log,
             std::function<void()> almost_done);
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  // The log has grown to so many bytes. The loop's thread, after each commit; cheap.
  void log_is(std::int64_t bytes);
  // Whatever its size.
  void try_again() { log_is(begin_bytes_); }

 private:
  void work();
  void checkpoint();

  EventLoop& loop_;
  std::filesystem::path file_;
  std::int64_t begin_bytes_;
  std::function<void()> almost_done_;
  sql::Handle db_;  // the thread's

  std::mutex mutex_;
  std::condition_variable wake_;
  bool wanted_ = false;
  std::atomic<bool> stop_ = false;
  // shared_ptr: what is posted to the loop may arrive after this object is gone.
  std::shared_ptr<Checkpoint*> self_ = std::make_shared<Checkpoint*>(this);
  bool under_way_ = false;  // the loop's thread
  std::thread thread_;
};

}  // namespace policyd
