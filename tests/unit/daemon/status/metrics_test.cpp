// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace policyd {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, SayOnlyWhetherItRunsWithoutAStatus) {
  EXPECT_EQ(metrics_text(false, std::nullopt),
            "# HELP carbonio_limits_up Whether the policy daemon runs and answers.\n"
            "# TYPE carbonio_limits_up gauge\ncarbonio_limits_up 0\n");
}

TEST(Metrics, HaveTroubleOnlyWhileItLasts) {
  Status status;
  const std::string fine = metrics_text(true, status);
  EXPECT_THAT(fine, HasSubstr("\ncarbonio_limits_database_trouble 0\n"));
  EXPECT_THAT(fine, HasSubstr("\ncarbonio_limits_rules_read 0\n"));
  EXPECT_THAT(fine, HasSubstr("\ncarbonio_limits_all_mail_deferred 0\n"));
  EXPECT_THAT(fine, HasSubstr("\ncarbonio_limits_paused 0\n"));
  EXPECT_THAT(fine, Not(HasSubstr("cluster")));
  status.trouble = Status::Trouble{"disk is full", {}, 7};
  status.rules_version = 3;
  status.all_mail_deferred = "limit 3";
  status.pause = Pause{};
  status.lost_log_lines = 5;
  const std::string text = metrics_text(true, status);
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_database_trouble 1\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_unstored_counters 7\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_rules_read 1\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_all_mail_deferred 1\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_paused 1\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_log_lines_lost_total 5\n"));
}

TEST(Metrics, HaveTheClustersFigures) {
  Status status;
  status.cluster = Status::Cluster{"mta1", false, "no engine", 3, -0.25, 0.0005, 100, 4, 2, 9};
  const std::string text = metrics_text(true, status);
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_sharing 0\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_rules_version 9\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_hosts 3\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_clock_ahead_seconds -0.25\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_round_trip_seconds 0.0005\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_questions_total 100\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_decided_alone_total 4\n"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_cluster_late_calls_total 2\n"));
}

TEST(Metrics, HaveWhatHappenedByLimit) {
  Status status;
  EXPECT_THAT(metrics_text(true, status), Not(HasSubstr("events_total")));
  status.happened = {{"refused", "Quotas", 4, "defer", 17}, {"near", "Accounting", 1, "", 2}};
  status.events_lost = 3;
  const std::string text = metrics_text(true, status);
  EXPECT_THAT(text, HasSubstr("# TYPE carbonio_limits_events_total counter\n"
                              "carbonio_limits_events_total{kind=\"refused\",module=\"Quotas\","
                              "limit=\"4\",verdict=\"defer\"} 17\n"
                              "carbonio_limits_events_total{kind=\"near\",module=\"Accounting\","
                              "limit=\"1\",verdict=\"\"} 2\n# HELP"));
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_events_lost_total 3\n"));
}

TEST(Metrics, NameSendersOnlyIfTheyAreGiven) {
  Status status;
  EXPECT_THAT(metrics_text(true, status), Not(HasSubstr("top_senders")));
  EXPECT_THAT(metrics_text(true, status),
              HasSubstr("\ncarbonio_limits_longest_refusal_seconds 0\n"));
  status.longest_refusal = Millis{3'600'250};
  status.most_refused = {
      {"Quotas", 4, "Sender:anna@example.org", 15},
      {"Accounting", 1, "Sender:\"a\\b\x1b\n\r\xff\xe2\x80\xae\u00e4\"@example.org", 2}};
  const std::string text = metrics_text(true, status);
  EXPECT_THAT(text, HasSubstr("\ncarbonio_limits_longest_refusal_seconds 3600.25\n"));
  const std::string name = "carbonio_limits_top_senders_refused_total";
  EXPECT_THAT(text,
              HasSubstr(name + " counter\n" + name +
                        "{module=\"Quotas\",limit=\"4\",counter=\"Sender:anna@example.org\"} 15\n" +
                        name + "{module=\"Accounting\",limit=\"1\",counter=\"Sender:" +
                        R"(\"a\\b\\x1b\\x0a\\x0d\\xff\\xe2\\x80\\xae)"
                        "\u00e4"
                        R"(\"@example.org"} 2)"
                        "\n"));
}

TEST(Metrics, HaveDecisionTimesAsAHistogram) {
  using std::chrono::microseconds;
  Status status;
  EXPECT_THAT(metrics_text(true, status), HasSubstr("_seconds_bucket{le=\"+Inf\"} 0\n"));
  status.times.add(microseconds{100}, 3);
  status.times.add(microseconds{101}, 1);
  status.times.add(microseconds{1'000'000}, 1);
  status.times.add(microseconds{5'000'001}, 2);
  std::string expected =
      "# TYPE carbonio_limits_decision_seconds histogram\n"
      "carbonio_limits_decision_seconds_bucket{le=\"0.0001\"} 3\n";
  const std::vector<std::pair<std::string, int>> rest = {
      {"0.00025", 4}, {"0.0005", 4}, {"0.001", 4}, {"0.0025", 4}, {"0.005", 4},
      {"0.01", 4},    {"0.025", 4},  {"0.05", 4},  {"0.1", 4},    {"0.25", 4},
      {"0.5", 4},     {"1", 5},      {"2.5", 5},   {"5", 5},      {"+Inf", 7}};
  for (const auto& [bound, count] : rest) {
    expected += "carbonio_limits_decision_seconds_bucket{le=\"" + bound + "\"} " +
                std::to_string(count) + "\n";
  }
  expected +=
      "carbonio_limits_decision_seconds_sum 11.000403\n"
      "carbonio_limits_decision_seconds_count 7\n# HELP";
  EXPECT_THAT(metrics_text(true, status), HasSubstr(expected));
}

TEST(Metrics, QuoteLabels) {
  Status status;
  status.version = "1\"\\\n";
  EXPECT_THAT(metrics_text(true, status),
              HasSubstr("\ncarbonio_limits_build_info{version=\"1\\\"\\\\\\\\x0a\"} 1\n"));
}

}  // namespace
}  // namespace policyd
