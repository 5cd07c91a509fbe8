// SPDX-License-Identifier: AGPL-3.0-only
// `metrics`: the daemon's figures for Prometheus.
#include <fmt/core.h>

#include <array>
#include <optional>

#include "daemon/base/replace_file.hpp"
#include "daemon/config/config.hpp"
#include "daemon/status/metrics.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_probe.hpp"
#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kScrapeAnswerWithin{3};
constexpr mode_t kReadByAll = 0644;  // the node exporter is another user

constexpr std::array<Option, 1> kMetricsOptions = {{
    {"out", "FILE", "write them to FILE (NAME.prom), at once or not at all"},
}};

std::string metrics_now(const carbonio::ServiceFiles& files) {
  if (!carbonio::running_service(files)) return policyd::metrics_text(false, std::nullopt);
  const auto loaded = policyd::load_config(files.config);
  const bool up = loaded && carbonio::probe_daemon(loaded->config, kScrapeAnswerWithin).has_value();
  auto status = policyd::read_status(policyd::status_file_of(files.pid_file));
  return policyd::metrics_text(up, status ? std::move(*status) : std::nullopt);
}

Outcome run_metrics(const Arguments& arguments, Context& context) {
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use("metrics does not accept --database: it asks the daemon");
  }
  const auto file = arguments.value("out");
  if (file && file->empty()) return wrong_use("--out: the file name is empty");
  const std::string text = metrics_now(carbonio::find_service(context.zextras_home));
  if (!file) {
    context.output.text(text);
    return {};
  }
  if (const auto done = policyd::replace_file(*file, text, kReadByAll); !done) {
    return failed(fmt::format("cannot write {}: {}", shown(*file), done.error().message));
  }
  return {};
}

}  // namespace

const Command kMetrics = {
    "metrics",
    "[--out FILE]",
    "Print the daemon's figures for Prometheus",
    "Requests, refusals by limit, decision times, connections, trouble with the database and the "
    "state of the cluster, in Prometheus' text format; no address is in it unless [metrics] "
    "top_senders is set. carbonio_limits_up is 0 if the daemon is not running or does not answer, "
    "which is no failure of this command.",
    "metrics\n"
    "metrics --out /srv/metrics/carbonio-limits.prom",
    kMetricsOptions,
    0,
    run_metrics,
    Takes::other,
    "",
    false};

}  // namespace limits
