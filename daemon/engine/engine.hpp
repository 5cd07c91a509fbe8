// SPDX-License-Identifier: AGPL-3.0-only
// Questions become batches, batches become answers. What arrives in one turn of the loop is one
// batch: sessions, matching, modules in order, one commit, then the answers. A question of which a
// module wants to know something from the DNS leaves its batch undecided and joins a later one.
// Here, and nowhere else, is decided what a failure means for the mail. The loop's thread.
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
#include "daemon/engine/pending.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/modules/refusal_log.hpp"
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

  using Clock = std::function<TimePoint()>;  // read once a batch

  // Without `lookups` nothing is looked up in the DNS, as if all of it was skipped. `refusals` may
  // be null; it hears of each limit that is exceeded.
  Engine(EventLoop& loop, Store& store, Maillog& log, const Config& config,
         Clock clock = wall_clock, LookupService* lookups = nullptr,
         RefusalObserver* refusals = nullptr);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // SIGHUP: from the next batch on (a batch is decided in one go, never between two).
  void configure(const Config& config);

  // shared_ptr: a connection may break while its question is being decided.
  void ask(std::shared_ptr<Pending> pending);
  // Decides what is there now, so that the loop can be stopped after it.
  void finish();
  // At the end: writes the messages that are under way to session_tracking, for who comes next.
  void keep_messages_under_way();
  struct Statistics {
    std::uint64_t requests = 0;
    std::uint64_t batches = 0;
    std::uint64_t refused = 0;  // answered REJECT or DEFER
    std::size_t sessions = 0;   // messages known at present
  };
  [[nodiscard]] Statistics statistics() const;
  // In force, in the order in which they are asked.
  [[nodiscard]] std::vector<std::string> module_names() const;
  [[nodiscard]] bool idle() const {
    return waiting_.empty() && batch_.empty() && looking_up_.empty();
  }

 private:
  struct Item {
    std::shared_ptr<Pending> pending;  // null once it waits for the DNS
    Verdict verdict;
    std::optional<Lookups> lookups;                 // once they are done
    std::vector<std::shared_ptr<Pending>> repeats;  // asked again meanwhile: answered like it
  };

  void enqueue(Item item);
  void begin_batch();
  void decide(Transaction& store);
  void answer_all();
  // No verdict where the question waits for the DNS; then it is taken out of the item.
  std::optional<Verdict> decide_one(Item& item, Transaction& store);
  std::optional<Verdict> decide_rcpt(Item& item, Transaction& store);
  bool waits_for_first(Item& item);
  bool look_up(Item& item, const RcptQuestion& question);
  void looked_up(const std::string& key, Lookups found);
  Verdict decide_message(const Request& request, Transaction& store);
  Session* take_over(const Request& request, Transaction& store);
  Verdict bypass(const Request& request);
  template <typename AnyQuestion, typename Decide>
  void ask_modules(AnyQuestion& question, Decide decide);

  EventLoop& loop_;
  Store& store_;
  Maillog& log_;
  Clock clock_;
  LookupService* lookups_;
  RefusalObserver* refusals_;
  Bypass bypass_mode_ = Bypass::tempfail;
  bool track_sessions_ = false;  // in session_tracking
  bool trace_modules_ = false;   // log_detail
  std::vector<std::unique_ptr<Module>> modules_;
  Store::Uses uses_ = Store::Uses::everything;
  Sessions sessions_;
  Matcher matcher_;
  std::vector<std::int64_t> policy_ids_;  // of the recipient that is being decided

  std::vector<Item> waiting_;  // for the next batch
  std::vector<Item> batch_;    // being decided and committed
  // By instance and recipient, until they are decided.
  std::unordered_map<std::string, Item> looking_up_;
  std::chrono::steady_clock::time_point batch_began_;
  bool flush_posted_ = false;
  Statistics statistics_;
  // shared_ptr: what is posted to the loop may arrive after this object is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace policyd
