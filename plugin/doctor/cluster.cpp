// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: whether the limits of several MTAs are one, and whether what they share can be relied
// on.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "daemon/cluster/redis_address.hpp"
#include "hooks/carbonio/localconfig.hpp"
#include "hooks/carbonio/prov.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/engine_check.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr const char* kEngineCheck = "cluster.engine";
constexpr const char* kOthersCheck = "mta.others";
constexpr double kClockApart = 5;  // seconds
constexpr std::chrono::seconds kProvWithin{30};

// By `carbonio prov gas mta`.
policyd::Result<std::vector<std::string>> mta_hosts(const DoctorQuestion& question) {
  const auto config = carbonio::LocalConfig::load(question.zextras_home);
  if (!config) return tl::unexpected{config.error()};
  const auto user = config->find("zimbra_user");
  const carbonio::Prov prov{question.zextras_home,
                            user ? user->value_or(carbonio::Prov{}.user) : carbonio::Prov{}.user,
                            kProvWithin};
  const carbonio::ProvCommand gas{"gas", "mta"};
  const auto answers = prov.ask(std::span{&gas, 1});
  if (!answers) return tl::unexpected{answers.error()};
  std::vector<std::string> hosts;
  for (const std::string_view line : split(answers->answers.front(), '\n')) {
    if (!line.empty()) hosts.emplace_back(line);
  }
  return hosts;
}

void check_alone(const DoctorQuestion& question, Findings& findings) {
  constexpr const char* kEachCounts =
      "other MTA hosts: each counts separately, so three MTAs are three counts";
  if (!is_carbonio(question) || !carbonio::has_prov(question.zextras_home)) {
    return findings.not_checked(kOthersCheck, kEachCounts);
  }
  const auto hosts = mta_hosts(question);
  if (!hosts) {
    return findings.not_checked(kOthersCheck,
                                fmt::format("{} ({})", kEachCounts, hosts.error().message));
  }
  if (hosts->size() < 2) return findings.well(kOthersCheck, "this host is the only MTA");
  findings.wrong(problem::kClusterAlone,
                 fmt::format("{} are MTAs, and each counts alone", join_with_and(*hosts)),
                 fmt::format("{} times a limit passes, since web mail takes an MTA at random for "
                             "each message",
                             hosts->size()),
                 advice("run Redis or Valkey where all of them reach it, and on each of them: "
                        "carbonio-limits cluster join redis://HOST"));
}

const char* meanwhile(const policyd::Config& config) {
  switch (config.cluster_without) {
    case policyd::Without::share:
      return "until then this host divides each limit by the number of MTAs";
    case policyd::Without::local:
      return "until then each MTA lets the whole limit pass";
    case policyd::Without::defer:
      return "until then MAIL THAT HAS A LIMIT IS DEFERRED";
  }
  return "";
}

// The daemon's trouble is a sentence that ends with what to do.
void check_sharing(const ClusterView& view, const policyd::Config& config, Findings& findings) {
  if (!view.figures) {
    findings.wrong(problem::kClusterEngine, "[cluster] is set, but not in force",
                   "each MTA counts alone", command(kRestart));
    return;
  }
  if (view.trouble.starts_with("this host has other rules")) {
    findings.wrong(problem::kClusterRules,
                   "limits are not shared: this host has other rules than the cluster",
                   meanwhile(config),
                   advice("say whose hold: carbonio-limits cluster join --take-theirs, or: "
                          "carbonio-limits cluster join --give-ours"));
    return;
  }
  const std::size_t at = view.trouble.rfind("; ");
  const std::string todo =
      at == std::string::npos ? "the daemon tries again each second" : view.trouble.substr(at + 2);
  findings.wrong(problem::kClusterEngine,
                 fmt::format("limits are not shared: {}", view.trouble.substr(0, at)),
                 meanwhile(config),
                 advice(todo + " (a change of [cluster] needs: carbonio-limits service restart)"));
}

// "-h redis1 -p 6379", as redis-cli has it.
std::string cli_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (address.starts_with('/') || colon == std::string::npos) return "-s " + address;
  std::string host = address.substr(0, colon);
  std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  return fmt::format("-h {} -p {}", host, address.substr(colon + 1));
}

void check_memory(const policyd::Config& config, Findings& findings) {
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!address) return;
  const auto answers = ask_engine({*address, config.cluster_password_file}, {{"INFO", "memory"}});
  if (!answers || !answers->replies.front()) return;
  const std::string policy{policyd::info_field(answers->replies.front()->text, "maxmemory_policy")};
  if (policy.empty() || policy == "noeviction") {
    return findings.well("cluster.memory", "the engine drops no counts (noeviction)");
  }
  // Our own user may not do that; its administrator's password is asked for.
  const bool has_password = !config.cluster_password_file.empty();
  findings.wrong(
      problem::kClusterMemory,
      fmt::format("the engine may drop counts when its memory is full: maxmemory-policy is {}",
                  policy),
      "more than a limit passes after that",
      advice(fmt::format("set it to noeviction in the engine's configuration, and now{}: redis-cli "
                         "{}{} config set maxmemory-policy noeviction",
                         has_password ? ", with its administrator's password" : "",
                         has_password ? "--askpass " : "", cli_address(answers->server.address))));
}

}  // namespace

void check_cluster(const DoctorQuestion& question, Findings& findings) {
  const ClusterView view = view_cluster(question.daemon);
  if (!view.configured) return check_alone(question, findings);
  if (findings.is_wrong(check::kDaemonRunning)) {
    return findings.not_checked(kEngineCheck,
                                "whether limits are shared: the daemon is not running");
  }
  if (!view.sharing) return check_sharing(view, question.daemon.config, findings);
  findings.well(kEngineCheck,
                fmt::format("limits are shared by {} by {}; this one is {}",
                            counted(view.figures->hosts, "host"), view.engine, view.node));
  const double ahead = view.figures->clock_ahead_s;
  if (std::abs(ahead) > kClockApart) {
    findings.wrong(
        problem::kClusterClock,
        fmt::format("this host's clock is {:.0f} s {}, by the engine's", std::abs(ahead),
                    ahead > 0 ? "fast" : "slow"),
        "hosts count by the engine's clock: times in the log and in usage differ from it",
        advice("set the clocks of this host and of the engine by NTP (chrony or "
               "systemd-timesyncd)"));
  } else {
    findings.well("cluster.clock", "this host's clock is that of the engine");
  }
  check_memory(question.daemon.config, findings);
}

}  // namespace limits
