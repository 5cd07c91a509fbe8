// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/cluster_reset.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/engine_link.hpp"
#include "plugin/cluster/shared_figures.hpp"

namespace limits {
namespace {

using policyd::RedisReply;
using policyd::ResetId;
using policyd::ResetRequest;
using policyd::Result;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kInAll{15};
constexpr std::chrono::seconds kForSome{3};
constexpr std::chrono::seconds kForAllOfALimit{10};
constexpr std::chrono::seconds kForForgotten{2};
constexpr std::chrono::milliseconds kBetween{40};

class Asking {
 public:
  Asking(const policyd::HiredisSettings& settings, std::string prefix, const std::string& self)
      : link_(settings, kInAll), prefix_(std::move(prefix)), nodes_(self), self_(self) {}

  Result<std::vector<HostReset>> run(const ResetRequest& request) {
    const auto replies = link_.ask_all(
        {{"TIME"}, {"HGETALL", prefix_ + "nodes"}, policyd::words_to_add(prefix_, request)});
    if (!replies) return tl::unexpected{replies.error()};
    const auto now = time_in((*replies)[0]);
    const auto id = ResetId::parse((*replies)[2].text);
    if (!now || !id) return policyd::failure("Redis does not answer as it should");
    nodes_.read((*replies)[1], *now);
    find_hosts(*now);
    wait_for(
        *id, request.keys.empty() ? kForAllOfALimit : kForSome,
        [](const HostReset& host) { return host.unseen <= kAlive; },
        [](HostReset& host, std::uint64_t cleared) { host.cleared = cleared; });
    return forget();
  }

 private:
  static constexpr auto kAlive =
      std::chrono::duration_cast<std::chrono::seconds>(policyd::Nodes::kAlive);

  void find_hosts(policyd::TimePoint now) {
    for (const auto& [name, node] : nodes_.all()) {
      const auto unseen = std::chrono::floor<std::chrono::seconds>(now - node.seen);
      hosts_.push_back({name, name == self_, std::nullopt, std::max(unseen, {})});
    }
    std::stable_sort(hosts_.begin(), hosts_.end(), [](const HostReset& a, const HostReset& b) {
      return a.is_this && !b.is_this;
    });
  }

  // Until all that `expected` says have done it, or the time is over; `done` is told of all that
  // have. An engine that no longer answers has the same effect as hosts that do not.
  template <typename Expected, typename Done>
  void wait_for(const ResetId& id, std::chrono::seconds time, Expected expected, Done done) {
    const std::string key = policyd::resets_done_key(prefix_, id);
    for (const auto until = Steady::now() + time;;) {
      const auto replies = link_.ask_all({{"HGETALL", key}});
      if (!replies) return;
      const auto& fields = replies->front().list;
      std::size_t missing = 0;
      for (HostReset& host : hosts_) {
        bool answered = false;
        for (std::size_t i = 0; i + 1 < fields.size() && !answered; i += 2) {
          if (fields[i].text != host.name) continue;
          answered = true;
          done(host, policyd::parse_number<std::uint64_t>(fields[i + 1].text).value_or(0));
        }
        if (!answered && expected(host)) ++missing;
      }
      if (missing == 0 || Steady::now() >= until) return;
      link_.wait(kBetween);
    }
  }

  // A host that has cleared but not forgotten has not answered.
  Result<std::vector<HostReset>> forget() {
    const auto replies =
        link_.ask_all({policyd::words_to_add(prefix_, {ResetRequest::Kind::forget, {}, {}})});
    const auto id = replies ? ResetId::parse(replies->front().text) : std::nullopt;
    std::vector<std::string> forgotten;
    if (id) {
      wait_for(
          *id, kForForgotten, [](const HostReset& host) { return host.cleared.has_value(); },
          [&](const HostReset& host, std::uint64_t) { forgotten.push_back(host.name); });
    }
    for (HostReset& host : hosts_) {
      const bool has = std::find(forgotten.begin(), forgotten.end(), host.name) != forgotten.end();
      if (!has) host.cleared.reset();
    }
    return std::move(hosts_);
  }

  EngineLink link_;
  std::string prefix_;
  policyd::Nodes nodes_;
  std::string self_;
  std::vector<HostReset> hosts_;
};

}  // namespace

std::uint64_t ClusterReset::cleared_elsewhere() const {
  std::uint64_t sum = 0;
  for (const HostReset& host : hosts) sum += host.is_this ? 0 : host.cleared.value_or(0);
  return sum;
}

std::uint64_t ClusterReset::cleared_by_daemons() const {
  std::uint64_t sum = 0;
  for (const HostReset& host : hosts) sum += host.cleared.value_or(0);
  return sum;
}

ClusterReset reset_on_all_hosts(const DaemonConfig& daemon, const ResetRequest& request) {
  ClusterReset out;
  const ClusterView view = view_cluster(daemon);
  out.configured = view.configured;
  if (!out.configured) return out;
  if (!view.sharing) {
    out.not_asked = view.trouble;
    return out;
  }
  const auto settings = engine_settings_of(daemon.config);
  if (!settings) {
    out.not_asked = settings.error().message;
    return out;
  }
  const bool fits = request.limit_ids.size() <= policyd::kMaxResetLimits &&
                    request.keys.size() <= policyd::kMaxResetKeys &&
                    std::all_of(request.keys.begin(), request.keys.end(), [](const auto& key) {
                      return key.size() <= policyd::kMaxResetKeyBytes;
                    });
  if (!fits) {
    out.not_asked = "these are too many counters to ask for at once; use --limit";
    return out;
  }
  auto hosts = Asking{*settings, daemon.config.cluster_prefix, view.node}.run(request);
  if (hosts) {
    out.hosts = std::move(*hosts);
  } else {
    out.not_asked = hosts.error().message;
  }
  return out;
}

}  // namespace limits
