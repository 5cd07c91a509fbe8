// SPDX-License-Identifier: AGPL-3.0-only
// This host's part in a cluster of MTAs: the connection to Redis, the rules that all share, and
// counters and triplets, which are shared while the rules agree and all resets are done. Made only
// with [cluster] url. The loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/cluster/count/cluster_counters.hpp"
#include "daemon/cluster/count/stored_counters.hpp"
#include "daemon/cluster/greylist/cluster_greylisting.hpp"
#include "daemon/cluster/hiredis_client.hpp"
#include "daemon/cluster/reset/reset_sync.hpp"
#include "daemon/cluster/rules/rules_sync.hpp"
#include "daemon/config/config.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace policyd {

// This host's name among the MTAs: [cluster] node, or the host name.
std::string node_name_of(const Config& config);
// Tells installations apart whose nodes have one name.
std::string installation_of(const Config& config);

class Cluster : boost::noncopyable {
 public:
  static constexpr std::chrono::milliseconds kStart{1'000};
  static constexpr std::chrono::milliseconds kConnects{300};  // of them

  struct Host {
    std::function<std::int64_t()> rules_version;               // in force here; 0: none
    std::function<void(Store::Decide, Store::Done)> in_batch;  // of the engine
  };
  // A url that cannot be used is trouble, as an engine that cannot be reached.
  Cluster(EpollLoop& loop, Maillog& log, const Config& config, Host host);

  [[nodiscard]] SharedCounters& counters() { return counters_; }
  [[nodiscard]] SharedGreylisting& greylisting() { return greylisting_; }
  // Whether it is about to share: for kStart at most from the first call on, and only while the
  // engine answers. What is asked before is decided alone, beyond what the others let pass.
  [[nodiscard]] bool is_starting();
  // The clock by which all hosts count.
  [[nodiscard]] TimePoint now() const { return counters_.now(); }
  [[nodiscard]] ClusterCounters::Status status() const { return counters_.status(); }
  // Of the cluster's rules, if this host has them; otherwise 0.
  [[nodiscard]] std::int64_t rules_version() const {
    return rules_ && rules_->agrees() ? rules_->version() : 0;
  }
  [[nodiscard]] const std::string& node() const { return node_; }

 private:
  // Redis as the counters see it: not ready while the rules of this host are not the cluster's, or
  // it has resets to do.
  class WhenCaughtUp final : public Redis {
   public:
    explicit WhenCaughtUp(Cluster& cluster) : cluster_(cluster) {}
    [[nodiscard]] bool ready() const override;
    [[nodiscard]] const std::string& trouble() const override;
    [[nodiscard]] std::uint64_t connections() const override;
    void command(std::vector<std::string> words, Done done) override;

   private:
    Cluster& cluster_;
  };

  void connection_changed();
  void look_for_resets();

  EventLoop& loop_;
  std::optional<std::chrono::steady_clock::time_point> start_;
  const std::string node_;
  std::string trouble_;  // the url's; otherwise empty
  const std::string comparing_ = "the rules of this host are being compared with the cluster's";
  const std::string resetting_ = "this host is doing the resets that it has missed";
  std::unique_ptr<HiredisClient> redis_;
  std::optional<RulesSync> rules_;
  WhenCaughtUp gate_{*this};
  StoredCounters stored_;
  ClusterCounters counters_;
  std::optional<ResetSync> resets_;
  ClusterGreylisting greylisting_;
  EventLoop::Guard guard_;
};

}  // namespace policyd
