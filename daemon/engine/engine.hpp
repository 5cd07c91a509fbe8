// SPDX-License-Identifier: AGPL-3.0-only
// Questions become batches, batches become answers. What arrives in one turn of the loop is one
// batch: sessions, matching, modules in order, one commit, then the answers. A question that needs
// a DNS lookup, or the count of other MTAs, leaves its batch undecided and joins a later one. Only
// the engine decides what a failure means for the mail. The loop's thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/config/config.hpp"
#include "daemon/dns/lookup_service.hpp"
#include "daemon/engine/decision_times.hpp"
#include "daemon/engine/pause.hpp"
#include "daemon/engine/pending.hpp"
#include "daemon/engine/refusal_events.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"
#include "daemon/rules/match/matcher.hpp"
#include "daemon/session/session.hpp"
#include "daemon/store/store.hpp"

namespace policyd {

class Engine {
 public:
  static constexpr std::size_t kMaxBatch = 256;
  static constexpr std::chrono::milliseconds kMaxBatchTime{1};

  using Clock = std::function<TimePoint()>;  // read once per batch

  // Without `lookups` all DNS lookups are skipped. `events` gets what is refused; it may be null.
  // Without `shared` limits are this host's alone, without `greylisting` triplets.
  Engine(EventLoop& loop, Store& store, Maillog& log, const Config& config,
         Clock clock = wall_clock, LookupService* lookups = nullptr, EventQueue* events = nullptr,
         SharedCounters* shared = nullptr, SharedGreylisting* greylisting = nullptr);

  // After SIGHUP: applies from the next batch on.
  void configure(const Config& config);

  // Applies from the next batch on: all answers are DUNNO while it is in force.
  void set_pause(const Pause& pause) { pause_ = pause; }
  [[nodiscard]] bool is_paused() const { return pause_.in_force(clock_()); }

  // shared_ptr: a connection may close while its question is decided.
  void ask(std::shared_ptr<Pending> pending);
  // Runs `work` at the beginning of a batch, with its transaction, and then `done`.
  void in_batch(Store::Decide work, Store::Done done);
  // Decides the questions received so far, before the loop stops.
  void finish();
  // At shutdown: writes the open sessions to session_tracking, for the next process.
  void save_open_sessions();

  struct Statistics {
    std::uint64_t requests = 0;
    std::uint64_t batches = 0;
    std::uint64_t refused = 0;  // answered REJECT or DEFER
    std::size_t sessions = 0;   // in memory now
    // From the arrival of the first of their batch; of those that waited, in which they came.
    DecisionTimes times;
  };
  [[nodiscard]] Statistics statistics() const;
  // The enabled modules, in the order in which they are asked.
  [[nodiscard]] std::vector<std::string> module_names() const;
  [[nodiscard]] bool idle() const { return waiting_.empty() && batch_.empty() && parked_.empty(); }

 private:
  using Steady = std::chrono::steady_clock::time_point;

  struct Item {
    std::shared_ptr<Pending> pending;  // null once it is parked, and if it stands for work
    Verdict verdict;                   // also what modules said before it was parked
    std::optional<Lookups> lookups;    // once they are done
    std::optional<Granted> granted;    // once the other MTAs have answered
    std::optional<TripletAnswer> known;
    std::vector<std::shared_ptr<Pending>> repeats = {};  // asked meanwhile, get the same answer
    Steady arrived = {};  // when its batch began; before it was parked, if it was
    [[nodiscard]] bool was_parked() const { return lookups || granted || known; }
  };

  void enqueue(Item item);
  void flush();
  void begin_batch();
  [[nodiscard]] Store::Uses uses_of_batch() const;
  void decide(Transaction& store);
  void answer_all(Store::Outcome outcome);
  // No verdict if the question waits for others; then it has been moved out of the item.
  std::optional<Verdict> decide_one(Item& item, Transaction& store);
  std::optional<Verdict> decide_rcpt(Item& item, Transaction& store);
  bool waits_for_first(Item& item);
  bool look_up(Item& item, const RcptQuestion& question);
  std::optional<Verdict> decide_message(Item& item, Transaction& store);
  void prepare(Question& question, Item& item);
  std::nullopt_t ask_others(Item& item, Question& question);
  void ask_about_triplet(Item& item, TripletQuestion asked);
  void settle(const Granted& granted, Transaction& store);
  const std::string& key_of(const Request& request);
  std::string park(Item& item);
  void unpark(const std::string& key, std::optional<Lookups> found, std::optional<Granted> granted,
              std::optional<TripletAnswer> known = {});
  Session* resume_session(const Request& request, Transaction& store);
  Verdict bypass(const Request& request);
  // False: the question has to wait for the other MTAs.
  template <typename AnyQuestion>
  bool ask_modules(AnyQuestion& question);

  EventLoop& loop_;
  Store& store_;
  Maillog& log_;
  Clock clock_;
  LookupService* lookups_;
  EventQueue* events_;
  RefusalEvents refusals_;
  SharedCounters* shared_;
  SharedGreylisting* greylisting_;
  Bypass bypass_mode_ = Bypass::tempfail;
  std::string recipient_delimiter_;
  bool track_sessions_ = false;  // in session_tracking
  bool trace_modules_ = false;   // log_detail
  std::vector<std::unique_ptr<Module>> modules_;
  Pause pause_;
  bool paused_ = false;  // the current batch
  Store::Uses uses_ = Store::Uses::everything;
  Sessions sessions_;
  Matcher matcher_;
  std::vector<std::int64_t> policy_ids_;  // of the current recipient

  std::vector<Item> waiting_;  // for the next batch
  std::vector<Item> batch_;    // being decided and committed
  struct Work {
    Store::Decide run;
    Store::Done done;
  };
  std::vector<Work> works_;  // of in_batch: waiting; an empty item is enqueued for each
  std::vector<Work> done_;   // of the batch
  // Questions that wait for the DNS or the other MTAs, by instance, state and recipient, until they
  // are decided.
  std::unordered_map<std::string, Item> parked_;
  std::string key_;  // of key_of()
  Steady batch_began_;
  bool flush_posted_ = false;
  Statistics statistics_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
