// SPDX-License-Identifier: AGPL-3.0-only
// This host's part of all counters, read from the database on a thread of its own, a slice at a
// time, so that the engine can be told of them again. Counters that are only in memory, because the
// database cannot be written, are not among them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/worker_thread.hpp"
#include "daemon/cluster/count/own_counters.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

class StoredCounters final : public OwnCounters {
 public:
  // `now` is called on the thread.
  StoredCounters(EventLoop& loop, Maillog& log, std::filesystem::path database,
                 std::string table_prefix, std::function<TimePoint()> now);

  void begin() override;
  void next(std::size_t most, Slice done) override;

 private:
  struct Wish {
    std::size_t most = 0;
    Slice done;
  };

  void work();
  std::vector<Counter> read(std::size_t most);

  EventLoop& loop_;
  Maillog& log_;
  const std::filesystem::path database_;
  const std::string table_prefix_;
  const std::function<TimePoint()> now_;
  std::uint64_t round_ = 0;      // the loop's: slices of an earlier one are dropped
  std::vector<Wish> wishes_;     // shared with the thread
  bool from_the_start_ = true;   // shared with the thread
  std::int64_t last_rowid_ = 0;  // the thread's
  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
