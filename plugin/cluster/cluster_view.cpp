// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/cluster_view.hpp"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/cluster/count/without_engine.hpp"
#include "daemon/cluster/member/cluster.hpp"
#include "daemon/cluster/redis_address.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

std::string engine_text(const std::string& url) {
  const auto address = policyd::parse_redis_address(url);
  if (!address) return url;
  std::string hosts;
  for (const policyd::RedisHost& host : address->hosts) {
    hosts += (hosts.empty() ? "" : ", ") + host.to_string();
  }
  if (address->master.empty()) return hosts;
  return fmt::format("{} by Sentinel {}", address->master, hosts);
}

std::string clock_text(double ahead) {
  constexpr double kEqual = 0.05;
  if (std::abs(ahead) < kEqual) return "that of the engine";
  return fmt::format("{:.1f} s {}, by the engine's", std::abs(ahead), ahead > 0 ? "fast" : "slow");
}

}  // namespace

bool is_in_cluster(const DaemonConfig& daemon) {
  return daemon.configured && daemon.read && !daemon.config.cluster_url.empty();
}

ClusterView view_cluster(const DaemonConfig& daemon) {
  ClusterView view;
  const policyd::Config& config = daemon.config;
  if (!is_in_cluster(daemon)) return view;
  view.configured = true;
  view.engine = engine_text(config.cluster_url);
  view.node = policyd::node_name_of(config);
  auto status = policyd::read_status(policyd::status_file_of(config.pid_file));
  if (!status) {
    view.trouble = status.error().message;
  } else if (!*status) {
    view.trouble = "the policy daemon is not running; 'carbonio-limits service start' starts it";
  } else if (!(*status)->cluster) {
    view.trouble =
        "the policy daemon was started before [cluster] was set; to have it join: "
        "carbonio-limits service restart";
  } else {
    view.figures = std::move((*status)->cluster);
    view.node = view.figures->node;
    view.sharing = view.figures->sharing;
    view.trouble = view.figures->trouble;
    if (!view.sharing && view.trouble.empty()) view.trouble = "it is connecting";
    if (!view.sharing) view.alone = Alone{config.cluster_without, view.figures->hosts};
  }
  return view;
}

nlohmann::json cluster_json(const ClusterView& view) {
  nlohmann::json out = {{"configured", view.configured}, {"sharing", view.sharing}};
  if (!view.configured) return out;
  out["engine"] = view.engine;
  out["node"] = view.node;
  if (!view.sharing) out["wrong"] = view.trouble;
  if (!view.figures) return out;
  out["hosts"] = view.figures->hosts;
  out["round_trip"] = view.figures->round_trip_s;
  out["clock_ahead"] = view.figures->clock_ahead_s;
  out["questions"] = view.figures->questions;
  out["alone"] = view.figures->alone;
  out["late"] = view.figures->late;
  return out;
}

void print_cluster(const ClusterView& view, const TypedAdvice& advice, Output& output) {
  if (!view.configured) {
    output.line(advice.complete(
        "This host counts alone, in no cluster. To share its limits with other MTAs: "
        "carbonio-limits cluster join redis://HOST"));
    return;
  }
  const auto row = [&](std::string_view label, const Cell& value) {
    print_wrapped(output, {fmt::format("{:<12}", label), Colour::dim}, value);
  };
  row("engine", {escaped(view.engine)});
  row("this host", {escaped(view.node)});
  row("sharing", view.sharing ? Cell{"yes", Colour::green}
                              : Cell{"no: " + advice.complete(escaped(view.trouble)), Colour::red});
  if (!view.figures) return;
  if (view.alone) {
    row("until then", {policyd::text_without_engine(view.alone->without, view.alone->hosts)});
  }
  const policyd::Status::Cluster& figures = *view.figures;
  row("hosts", {fmt::format("{}, with this one, in the last hour", figures.hosts)});
  row("round trip",
      {figures.round_trip_s > 0 ? fmt::format("{:.2f} ms on average", figures.round_trip_s * 1000)
                                : std::string{"not measured yet"}});
  row("clock", {clock_text(figures.clock_ahead_s)});
  row("questions", {fmt::format("{} since the start, {} of them decided without the engine",
                                figures.questions, figures.alone)});
  row("late", {fmt::format("{} without an answer in time", counted(figures.late, "call"))});
}

std::string sharing_line(const ClusterView& view) {
  if (!view.configured) return {};
  if (!view.sharing) {
    return fmt::format(
        "Limits are not shared with the other MTAs at the moment: {}.{}", escaped(view.trouble),
        view.alone
            ? fmt::format(" Until they are, {}.",
                          policyd::text_without_engine(view.alone->without, view.alone->hosts))
            : "");
  }
  return fmt::format("Limits are shared by {}.", counted(view.figures->hosts, "host"));
}

}  // namespace limits
