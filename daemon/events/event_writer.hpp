// SPDX-License-Identifier: AGPL-3.0-only
// Takes what is in the event queue once a second and writes it into limits_events, on a thread with
// a database connection of its own, in short transactions with pauses between them, in which a
// batch that found the database locked gets its turn. It also keeps the table within its bounds.
// While the database cannot be written, events wait in memory, where those of a counter and minute
// are one; what does not fit is counted, logged and an event itself. What kill -9 loses: events of
// the last second or two, never a count. The loop's thread, but for what is marked.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/worker_thread.hpp"
#include "daemon/events/event_queue.hpp"
#include "daemon/events/event_rows.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/sqlite/wal_index.hpp"

namespace policyd {

struct EventWriterSettings {
  std::filesystem::path database;
  std::string table_prefix;
  std::int64_t max_rows = kMaxEventRows;
  // So that a flood of different senders does not push everything else out of the table.
  std::int64_t max_rows_a_minute = 10'000;
  // Parameters, so that tests need not wait.
  Millis every{1'000};
  Millis prune_every{60'000};
  Millis slice_time{5};
  Millis pause{20};
  std::size_t slice_rows = 500;
};

class EventWriter {
 public:
  // The write-ahead log (FileId) of the database that the store has open and can write; empty:
  // none.
  using OpenFiles = std::function<std::string()>;

  // `own_commits` and `queue` outlive it. Nothing is opened or written but the database with
  // `open_log`: opening another that has taken its name would replay that log into it.
  EventWriter(EventLoop& loop, Maillog& log, EventQueue& queue, OwnCommits& own_commits,
              EventWriterSettings settings, OpenFiles open_files,
              std::function<TimePoint()> clock = wall_clock);
  ~EventWriter();

  // Events since the start that are in no row.
  [[nodiscard]] std::uint64_t lost() const { return lost_in_all_; }

  // At the end: writes what is left, for at most `patience`, and logs what is lost.
  void finish(Millis patience);

 private:
  using Batch = EventQueue::Batch;
  class Connection;

  void tick();
  void look_at_store();
  void hand_over();

  // The thread.
  void work();
  void take(Batch& batch);
  void write_all(const std::string& files);
  Result<void> connect(const std::string& files);
  Result<void> write_some();
  Result<void> write_slice();
  Result<void> prune();
  Result<void> report_lost();
  [[nodiscard]] bool may_add(TimePoint now);
  void lose(std::uint64_t events);

  EventLoop& loop_;
  Maillog& log_;
  EventQueue& queue_;
  OwnCommits& own_commits_;
  EventWriterSettings settings_;
  OpenFiles open_files_;
  std::function<TimePoint()> clock_;
  EventLoop::Guard guard_;
  // The thread's.
  std::unique_ptr<Connection> connection_;
  std::deque<Event> left_;   // to be written
  std::int64_t minute_ = 0;  // since 1970, in which
  std::int64_t added_ = 0;   // this many rows were added
  std::uint64_t lost_ = 0;   // not reported yet
  std::string problem_;      // that is logged
  std::optional<std::chrono::steady_clock::time_point> reported_, pruned_;
  // Under its lock.
  std::unique_ptr<Batch> batch_;
  std::uint64_t waiting_ = 0;  // that were handed over and are not written
  std::string files_;          // as open_files() said
  bool files_changed_ = false;
  std::atomic<std::uint64_t> lost_in_all_ = 0;
  std::atomic<bool> held_ = false;       // it said nothing
  std::atomic<bool> finishing_ = false;  // without pauses
  WorkerThread thread_;
};

}  // namespace policyd
