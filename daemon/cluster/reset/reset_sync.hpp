// SPDX-License-Identifier: AGPL-3.0-only
// Does here what `carbonio-limits reset` asked of all MTAs: clears this host's part of the counters
// in a batch of the engine, writes its fields again, removes those of hosts that are no longer in
// the cluster, forgets what was known to be full, and says that it is done. What was asked while
// this host was away is done before it decides together with the others again. Each reset is done
// once: the database remembers up to which one. Should one be done again after a crash, it clears
// only what had arrived shortly after it was typed.
//
// A list of resets that the engine has lost is not made up for: who was away then keeps its part.
// The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/worker_thread.hpp"
#include "daemon/cluster/count/cluster_counters.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/cluster/reset/reset_record.hpp"
#include "daemon/cluster/reset/reset_request.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

class ResetSync : boost::noncopyable {
 public:
  static constexpr Millis kLookEvery{300};
  static constexpr Millis kRetry{1'000};            // what the database could not store
  static constexpr Millis kLate{3'000};             // for this long the command waits
  static constexpr Millis kGrace{5'000};            // what arrived until then, goes with the rest
  static constexpr Millis kEventsWritten{2'000};    // after this they are
  static constexpr Millis kAway{10'000};            // without a look
  static constexpr std::size_t kSlice = 200;        // counters of a batch
  static constexpr std::string_view kScan = "500";  // keys of the engine at a time

  struct With {
    EventLoop& loop;
    Redis& redis;
    ClusterCounters& counters;
    Maillog& log;
  };
  struct Settings {
    ResetDatabase database;
    std::string prefix;  // of all keys
    std::string node;
  };
  struct Ask {
    std::function<bool()> rules_agree;  // otherwise an ID may be that of another limit
    std::function<void(Store::Decide, Store::Done)> in_batch;
  };
  ResetSync(With with, Settings settings, Ask ask);

  // Whether all resets that this connection's engine has are done here.
  [[nodiscard]] bool caught_up() const {
    return caught_up_ != 0 && caught_up_ == with_.redis.connections();
  }
  // The rules no longer agree: what is asked meanwhile is done once they do.
  void rules_differ() { caught_up_ = 0; }
  // Now; otherwise each kLookEvery.
  void look();

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Counter {
    std::int64_t limit_id = 0;
    std::string key;
  };
  using Counters = std::vector<Counter>;
  using Then = std::function<void()>;

  struct Task {
    ResetEntry entry;
    std::optional<TimePoint> began;  // the first batch that cleared something for it
    std::uint64_t cleared = 0;
    bool stored = true;   // all batches were
    bool written = true;  // the engine has all parts
    bool warned = false;  // in the log, that it could not be stored
  };
  struct Done {
    ResetId id;
    std::uint64_t cleared = 0;
    bool written = true;
    bool late = false;
  };
  using Job = std::function<Then()>;  // on the thread; what it returns, on the loop

  void look_again();
  void read_record();
  void compare_list();
  void list_was_lost(const ResetId& last);
  void read_list();
  void strange_list(const std::string& why);
  void warn_strange(const std::string& why);
  void next_task();
  void clear_named(std::size_t from);
  void clear_stored(std::int64_t rowid);
  void clear_in_engine(std::size_t limit, const std::string& cursor);
  void clear_scanned(std::size_t limit, const std::string& cursor, const RedisReply& keys);
  void clear_gone(const Counters& counters, Then then);
  void clear_own_fields(const std::string& begin, Counters counters, const Then& then);
  void clear(Counters counters, Then then);
  void clear_in_batch(Transaction& store, const Counters& counters);
  void wait_until_written(Counters counters, Then then);
  void finish_task();
  void announce(const ResetEntry& entry);
  void give_up_for_now() { busy_ = false; }
  void settle();
  void say_done();
  void on_thread(Job job);
  void work();

  With with_;
  const Settings settings_;
  const Ask ask_;

  bool busy_ = false;
  bool knows_record_ = false;
  std::uint64_t connection_ = 0;  // whose list was compared
  std::uint64_t caught_up_ = 0;   // connection
  Steady looked_{};               // at the list, the last time
  ResetId read_;                  // the last one read
  ResetId remembered_;            // in the database
  std::deque<Task> tasks_;        // the first is being done
  std::deque<Task> unstored_;     // in force, but the database could not be written
  Steady retry_{};                // them, no sooner
  std::vector<Done> done_;        // to be said
  std::optional<Steady> strange_at_;
  std::vector<Job> jobs_;  // shared with the thread
  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
