// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/metrics.hpp"

#include <fmt/core.h>

#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/base/printable.hpp"

namespace policyd {
namespace {

class MetricsText {
 public:
  template <typename Value>
  void gauge(std::string_view name, std::string_view help, Value value) {
    add(name, "gauge", help, "", value);
  }
  template <typename Value>
  void counter(std::string_view name, std::string_view help, Value value) {
    add(name, "counter", help, "", value);
  }
  void build_info(std::string_view version) {
    add("build_info", "gauge", "The daemon's version.",
        fmt::format("{{version=\"{}\"}}", label(version)), 1);
  }
  // By limit: for Quotas the ID of `list`, else of the module's row.
  void events(const std::vector<Status::Happened>& rows) {
    head("events_total", "counter", "What happened to mail: refused, watched, let_through, near.");
    for (const Status::Happened& row : rows) {
      line("events_total",
           fmt::format("{{kind=\"{}\",module=\"{}\",limit=\"{}\",verdict=\"{}\"}}", label(row.kind),
                       label(row.module), row.row_id, label(row.verdict)),
           row.times);
    }
  }
  // With [metrics] top_senders only: nothing else has names and addresses in it.
  void most_refused(const std::vector<Status::Refused>& counters) {
    constexpr std::string_view kName = "top_senders_refused_total";
    head(kName, "counter", "Refusals of the counters that were refused most in the last hour.");
    for (const Status::Refused& counter : counters) {
      line(kName,
           fmt::format("{{module=\"{}\",limit=\"{}\",counter=\"{}\"}}", label(counter.module),
                       counter.row_id, label(counter.track_key)),
           counter.times);
    }
  }
  void histogram(std::string_view name, std::string_view help, const DecisionTimes& times) {
    head(name, "histogram", help);
    const std::string bucket = fmt::format("{}_bucket", name);
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < times.requests.size(); ++i) {
      so_far += times.requests[i];
      const bool last = i == times.kBounds.size();
      const std::string bound = last ? "+Inf" : fmt::format("{:g}", seconds(times.kBounds[i]));
      line(bucket, fmt::format("{{le=\"{}\"}}", bound), so_far);
    }
    line(fmt::format("{}_sum", name), "", seconds(times.sum));
    line(fmt::format("{}_count", name), "", so_far);
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename Value>
  void add(std::string_view name, std::string_view type, std::string_view help,
           std::string_view labels, Value value) {
    head(name, type, help);
    line(name, labels, value);
  }

  void head(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP carbonio_limits_{0} {1}\n# TYPE carbonio_limits_{0} {2}\n", name,
                        help, type);
  }
  template <typename Value>
  void line(std::string_view name, std::string_view labels, Value value) {
    out_ += fmt::format("carbonio_limits_{}{} {}\n", name, labels, value);
  }

  static double seconds(std::chrono::duration<double> time) { return time.count(); }

  // Without control characters: a single byte that is not UTF-8 has Prometheus read nothing at all.
  static std::string label(std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
      if (c == '\\' || c == '"') out += '\\';
      out += c;
    }
    return out;
  }

  std::string out_;
};

void add_cluster(MetricsText& out, const Status::Cluster& cluster) {
  out.gauge("cluster_sharing", "Whether limits are shared with the other MTAs.",
            cluster.sharing ? 1 : 0);
  out.gauge("cluster_rules_version",
            "Version of the cluster's rules that this host has; 0 if it has others.",
            cluster.rules);
  out.gauge("cluster_hosts", "MTAs that share limits, seen in the last hour.", cluster.hosts);
  out.gauge("cluster_clock_ahead_seconds", "How far this host's clock is ahead of the engine's.",
            cluster.clock_ahead_s);
  out.gauge("cluster_round_trip_seconds", "Average time of a call to the engine.",
            cluster.round_trip_s);
  out.counter("cluster_questions_total", "Requests that needed the shared count.",
              cluster.questions);
  out.counter("cluster_decided_alone_total", "Those that were decided without the engine.",
              cluster.alone);
  out.counter("cluster_late_calls_total", "Calls that the engine did not answer in time.",
              cluster.late);
}

}  // namespace

std::string metrics_text(bool up, const std::optional<Status>& status) {
  MetricsText out;
  out.gauge("up", "Whether the policy daemon runs and answers.", up ? 1 : 0);
  if (!status) return out.take();
  out.build_info(status->version);
  out.gauge("start_time_seconds", "Start time in seconds since 1970.",
            std::chrono::system_clock::to_time_t(status->started));
  out.gauge("rules_read", "Whether it could read its limits.", status->rules_version ? 1 : 0);
  out.gauge("policies", "Policies in force.", status->policies);
  out.gauge("rule_problems", "Rows of the rule tables that the daemon does not understand.",
            status->rule_problems);
  out.gauge("all_mail_deferred", "Whether a row defers all mail.",
            status->all_mail_deferred.empty() ? 0 : 1);
  out.gauge("paused", "Whether limits are paused.", status->pause ? 1 : 0);
  out.gauge("database_trouble", "Whether it cannot use its database.", status->trouble ? 1 : 0);
  out.gauge("unstored_counters", "Counters that wait until the database can be written.",
            status->trouble ? status->trouble->unstored : 0);
  out.gauge("connections", "Connections from Postfix.", status->connections);
  out.gauge("sessions", "Messages that are under way.", status->sessions);
  out.counter("requests_total", "Requests from Postfix.", status->requests);
  out.counter("requests_refused_total", "Requests that were answered REJECT or DEFER.",
              status->refused);
  out.counter("requests_unusable_total", "Requests that break the protocol.",
              status->refused_requests.count);
  out.counter("batches_total", "Batches in which requests were decided.", status->batches);
  out.histogram("decision_seconds", "Time from the arrival of a request to its answer.",
                status->times);
  out.counter("log_lines_lost_total", "Lines that could not be written to the log.",
              status->lost_log_lines);
  if (!status->happened.empty()) out.events(status->happened);
  out.counter("events_lost_total", "Events that 'carbonio-limits refused' cannot list.",
              status->events_lost);
  out.gauge("longest_refusal_seconds", "How long the longest-running refusal has lasted.",
            std::chrono::duration<double>{status->longest_refusal}.count());
  if (!status->most_refused.empty()) out.most_refused(status->most_refused);
  if (status->cluster) add_cluster(out, *status->cluster);
  return out.take();
}

}  // namespace policyd
