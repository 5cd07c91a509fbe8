// SPDX-License-Identifier: AGPL-3.0-only
// From a connection to a shared count. A server that is new, or was emptied, restarted, restored or
// replaced, has lost what this host counted: it shows another run id, or another value of the epoch
// key. Then all counters of this host are written again, in slices, and for a moment the other
// hosts are waited for, before questions are decided together again. After that a heartbeat each
// second. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/cluster/count/count_call.hpp"
#include "daemon/cluster/count/engine_clock.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "daemon/cluster/count/own_counters.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

class Rejoin : boost::noncopyable {
 public:
  static constexpr Millis kTick{100};
  static constexpr Millis kHeartbeat = std::chrono::seconds{1};
  // Waits so long at most for the others' counters: longer than a host pauses between two attempts
  // to connect.
  static constexpr Millis kOthers = std::chrono::seconds{10};
  static constexpr std::size_t kSlice = 200;           // counters
  static constexpr std::string_view kProtocol = "1-";  // the epoch begins with it

  struct With {
    Redis& redis;
    EngineClock& clock;
    CountNames& names;
    Nodes& nodes;
    Node& self;
    OwnCounters& own;
  };
  using Written = std::function<void(const Result<void>&)>;
  struct Tell {
    std::function<void(std::string why)> trouble;  // not shared, or not now
    std::function<void()> well;
    std::function<void(std::vector<OwnCounters::Counter>, Written)> write;
  };

  Rejoin(With with, Tell tell) : with_(with), tell_(std::move(tell)) {}

  [[nodiscard]] bool sharing() const { return state_ == State::sharing; }
  [[nodiscard]] const std::string& script() const { return script_; }  // its hash
  void tick();                                                         // to be called each kTick
  // Whether the server is still the one that was greeted.
  bool check_connection();
  void begin_again(std::string why);
  // At the next opportunity all counters are written, even if the server has lost nothing.
  void write_all();

 private:
  using Steady = EngineClock::Steady;
  enum class State : std::uint8_t { down, greeting, writing, waiting, sharing };
  using Replies = std::vector<RedisReply>;

  void ask_all(std::vector<std::vector<std::string>> commands,
               std::function<void(const Replies&)> done);
  void failed(std::string why);
  void fail(std::string why);
  void greet();
  void greeted(const Replies& replies);
  void next_slice();
  void written();
  void beat();
  void beaten(const Replies& replies);
  void told();
  void stop();
  bool name_is_ours();
  bool heard(const RedisReply& time);

  With with_;
  Tell tell_;
  State state_ = State::down;
  std::uint64_t attempt_ = 0;  // replies to an earlier one are dropped
  std::uint64_t connection_ = 0;
  std::string script_;
  std::string goal_;        // epoch and run id of this server
  std::string complete_;    // those for which all was written
  Steady retry_;            // no attempt before
  Steady asked_;            // when ask_all was called last
  bool expecting_ = false;  // a reply that has not come
  Steady started_;
  Steady others_until_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
