// SPDX-License-Identifier: AGPL-3.0-only
// Keeps the rules of all MTAs the same: what is changed on one host, by command or by hand, is
// published with the version that it was based on, and the others take it over within a second. The
// database is read and written on a thread of its own. The loop's thread.
//
// In Redis: PREFIX rules, a hash of version, digest, node and ids (given_ids); PREFIX rules:body,
// the rules (rule_text) in a list of pieces.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/base/worker_thread.hpp"
#include "daemon/cluster/redis.hpp"
#include "daemon/cluster/rules/reconcile.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"

namespace policyd {

class RulesSync {
 public:
  static constexpr Millis kLookEvery{300};
  static constexpr Millis kAfterTrouble{2'000};  // each look then reads all rules
  static constexpr std::size_t kPieceBytes = 256UL * 1024;

  struct Settings {
    RuleDatabase database;
    std::string prefix;  // of all keys
    std::string node;
  };

  struct Ask {
    std::function<std::int64_t()> local_version;  // of the rules in force here; 0: none yet
    std::function<std::size_t()> hosts;           // that share the limits; kept in the database
    std::function<void()> changed;                // called when agrees() or version() has changed
  };
  RulesSync(EventLoop& loop, Maillog& log, Redis& redis, Settings settings, Ask ask);

  // Whether the rules here are those that the engine has: only then may questions be decided
  // together. Stays as it was while there is no connection.
  [[nodiscard]] bool agrees() const { return agrees_; }
  // Why not, as a sentence; empty if they agree or that is not known yet.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }
  // Of the rules with which they last agreed.
  [[nodiscard]] std::int64_t version() const { return agreed_version_; }
  // Now; otherwise each kLookEvery.
  void look();

 private:
  using Job =
      std::function<std::function<void()>()>;  // on the thread; what it returns, on the loop

  void look_again();
  void looked(const Result<RedisReply>& reply);
  void could_not_look(const std::string& error);
  void strange_key();
  void step(const RuleStep& step);
  void publish(const std::string& rules, const PublishedRules& next);
  void published(const PublishedRules& next, const Result<RedisReply>& reply);
  void fetch(std::int64_t pieces, std::string so_far, std::int64_t next_piece);
  void take(std::string rules);
  void taken(const Result<std::filesystem::path>& kept);
  void agree();
  void fail(const std::string& why);
  void keep_hosts();
  void done() { busy_ = false; }
  void on_thread(Job job);
  void work();

  [[nodiscard]] std::string key(std::string_view name) const;

  EventLoop& loop_;
  Maillog& log_;
  Redis& redis_;
  const Settings settings_;
  const Ask ask_;

  bool busy_ = false;
  bool agrees_ = false;
  std::string trouble_;
  std::string logged_;              // the last trouble that was
  PublishedRules published_;        // as last seen
  std::int64_t agreed_local_ = -1;  // the rules here with which they agreed
  std::int64_t agreed_version_ = 0;
  std::int64_t looked_local_ = 0;  // the rules here when this look began

  std::size_t kept_hosts_ = 0;

  std::vector<Job> jobs_;  // shared with the thread
  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
