// SPDX-License-Identifier: AGPL-3.0-only
// Shared counters on Redis: questions are collected and decided by one call of count.lua a batch, a
// few calls at a time. A counter is in one call at a time, so that its order is kept and each call
// knows what the one before allowed. When there is no answer in time, or none at all, questions are
// answered as [cluster] without says. The loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/cluster/count/active_counters.hpp"
#include "daemon/cluster/count/engine_clock.hpp"
#include "daemon/cluster/count/known_full.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "daemon/cluster/count/own_counters.hpp"
#include "daemon/cluster/count/question_queue.hpp"
#include "daemon/cluster/count/rejoin.hpp"
#include "daemon/cluster/count/sharing_trouble.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/config/config.hpp"
#include "daemon/counting/shared_counters.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

class ClusterCounters final : public SharedCounters {
 public:
  static constexpr std::size_t kMaxCalls = 2;    // under way
  static constexpr std::size_t kMaxWrites = 64;  // of a call, besides its questions
  static constexpr Millis kWriteWithin{100};     // what was changed, if no question takes it along

  struct Settings {
    std::string prefix;
    std::string node;
    std::string id;         // of this installation
    std::string host;       // its host name
    std::string version;    // of the program
    std::size_t hosts = 1;  // as Status said in the last run, if it starts without the engine
    Without without = Without::share;
    Millis remind_every = std::chrono::minutes{1};
    Millis timeout{50};  // of a question; then it is answered alone
  };

  struct Status {
    bool sharing = false;
    std::string trouble;    // empty if there is none
    std::size_t hosts = 1;  // seen in the last hour, with this one
    Millis clock_ahead{0};  // the host's clock, of the engine's
    std::chrono::microseconds last_round_trip{0};
    std::chrono::microseconds average_round_trip{0};  // of some twenty calls
    std::uint64_t calls = 0;
    std::uint64_t late = 0;  // calls that were not answered in time
    std::uint64_t questions = 0;
    std::uint64_t alone = 0;    // of them, answered without the engine
    std::size_t unwritten = 0;  // counters whose part the engine does not have yet
  };

  // The references must outlive this, which must be destroyed on the loop's thread.
  ClusterCounters(EventLoop& loop, Redis& redis, OwnCounters& own, Maillog& log, Settings settings,
                  EngineClock::Sources clock = {});

  const Window* known_full(std::int64_t limit_id, std::string_view track_key) override;
  void ask(std::vector<Wanted> wanted, Done done) override;
  void flush() override;
  void settle(std::int64_t limit_id, std::string_view track_key, const Window& own,
              std::uint64_t units, bool counted) override;
  void changed(std::int64_t limit_id, std::string_view track_key, const Window& own,
               Millis period) override;
  [[nodiscard]] TimePoint now() const override { return clock_.now(); }

  // Which counters are full: some were reset, or the rules changed.
  void forget_all() { known_full_.forget_all(); }
  void set_rules_version(std::int64_t version) { self_.rules = version; }

  // What was changed, not only within kWriteWithin.
  void write_now();
  // Whether what was changed of this counter has been sent.
  [[nodiscard]] bool is_written(std::int64_t limit_id, std::string_view track_key) const;

  [[nodiscard]] bool sharing() const { return rejoin_.sharing(); }
  [[nodiscard]] Status status() const;
  [[nodiscard]] const std::map<std::string, Node>& nodes() const { return nodes_.all(); }

 private:
  using Steady = EngineClock::Steady;

  using FlightPtr = std::shared_ptr<Flight>;  // shared with the callback that waits for the reply

  [[nodiscard]] bool is_well() const { return rejoin_.sharing() && !is_late_ && !is_refused_; }
  std::string_view name_of(std::int64_t limit_id, std::string_view track_key);
  void tick();
  void well();
  void send();
  void send_call(const FlightPtr& flight);
  void take_writes(Flight& flight);
  void replied(const FlightPtr& flight, const Result<RedisReply>& reply);
  void land(const FlightPtr& flight);
  void refused(const FlightPtr& flight, std::string why);
  void apply(const FlightPtr& flight, const CountReply& reply);
  [[nodiscard]] Granted granted(Flight& flight, std::size_t question,
                                const std::vector<Window>& others, const CountReply& reply);
  [[nodiscard]] std::vector<Window> learn(const Flight& flight, const CountReply& reply);
  void arm();
  void expire();
  void answer_alone(std::vector<AskedQuestion> questions);
  void trouble(std::string why);
  void write_slice(std::vector<OwnCounters::Counter> slice, Rejoin::Written done);
  void write_soon(ActiveCounter& counter);
  void time_writes();

  EventLoop& loop_;
  Redis& redis_;
  Without without_;
  Millis timeout_;
  CountNames names_;
  Node self_;
  EngineClock clock_;
  Nodes nodes_;
  SharingTrouble trouble_;
  KnownFull known_full_;
  ActiveCounters active_;
  Rejoin rejoin_;

  std::string name_;
  QuestionQueue waiting_;
  std::vector<FlightPtr> flights_;
  std::uint64_t call_number_ = 0;
  bool is_late_ = false;       // a call was not answered in time, nor since: nothing more is sent
  bool is_refused_ = false;    // the last call was answered by an error
  bool timer_armed_ = false;   // for the next deadline
  bool writes_timed_ = false;  // a timer runs for what is unwritten
  bool writes_due_ = false;
  Status counts_;
  Steady swept_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
