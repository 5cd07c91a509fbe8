// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/report_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "plugin/notify/notice_mail.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr policyd::TimePoint kEnd{std::chrono::hours{500'000}};

DailyReport day() {
  DailyReport report;
  report.from = kEnd - std::chrono::hours{24};
  report.to = kEnd;
  report.messages = 1234;
  return report;
}

policyd::Event refusal(const std::string& key) {
  policyd::Event event;
  event.module = "Quotas";
  event.row_id = 4;
  event.track_key = key;
  event.first = event.last = kEnd - std::chrono::hours{1};
  event.times = 57;
  return event;
}

std::string text_of(const DailyReport& report) {
  return plain_text(describe(report, {}, "mta1", kEnd));
}

TEST(Report, IsOneLineIfThereIsNothingToTell) {
  DailyReport report = day();
  report.senders = {{"anna@example.org", 1234, 0}};
  const std::string text = text_of(report);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_TRUE(text.starts_with("The day until ")) << text;
  EXPECT_TRUE(text.ends_with(": 1234 messages, no limit reached, nothing wrong.\n")) << text;
  EXPECT_EQ(describe(report, {}, "mta1", kEnd).subject,
            "[mta1] Mail limits: daily report: all well");
  report.messages = 99'999'999;
  EXPECT_LE(text_of(report).size(), 73U);
}

TEST(Report, SaysWhatWasRefusedAndWhatWasAWeekBefore) {
  DailyReport report = day();
  report.groups.refused = {2, 71, {refusal("Sender:anna@example.org")}};
  report.senders = {{"news@example.org", 810, 790}};
  std::string text = text_of(report);
  EXPECT_NE(text.find("\nRefused: 2 counters, 71 times\n\n  anna@example.org: refused 57 times"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("  and 1 more counter\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nMost messages\n\n  news@example.org: 810 messages\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("week"), std::string::npos) << text;
  EXPECT_EQ(text.find("carbonio-limits reset"), std::string::npos) << text;
  report.messages_before = 1;
  report.groups_before.emplace();
  text = text_of(report);
  EXPECT_NE(text.find("Refused: 2 counters, 71 times (a week before: none)\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("  news@example.org: 810 messages (a week before: 790)\n"), std::string::npos)
      << text;
}

TEST(Report, OffersNoFigureOfAWeekBeforeWhereItIsNotKnown) {
  DailyReport report = day();
  report.senders = {{"news@example.org", 810, 790}};
  const auto sender = [&] {
    nlohmann::json out;
    add_json(out, report, {});
    return out["senders"][0];
  };
  EXPECT_EQ(sender()["week_before"], nullptr);
  report.messages_before = 1100;
  EXPECT_EQ(sender()["week_before"], 790);
}

TEST(Report, NamesProblemsFirstAndInTheSubject) {
  DailyReport report = day();
  report.groups.refused = {1, 57, {refusal("Sender:anna@example.org")}};
  report.problems = {{"The disk is full; no counter is stored.", {{"To fix it", "rm 'a b'"}}}};
  const NoticeText text = describe(report, {}, "mta1", kEnd);
  EXPECT_EQ(text.subject, "[mta1] Mail limits: daily report: 1 refused, 1 problem");
  EXPECT_EQ(text.sections.front().title, "Wrong now: doctor finds 1 problem");
  const std::string plain = plain_text(text);
  EXPECT_NE(plain.find("stored.\n    To fix it:\n      rm 'a b'\n"), std::string::npos) << plain;
}

TEST(Report, CarriesNamesOfStrangersWithoutHarm) {
  DailyReport report = day();
  const std::string name = "<b>\r\n.\x1b[31m" + std::string(300, '&');
  report.groups.refused = {1, 57, {refusal("Sender:" + name)}};
  report.senders = {{name, 1, 0}};
  policyd::Event change = refusal(name);
  change.kind = policyd::EventKind::reset;
  change.who = change.detail = name;
  report.changes = {1, 0, {change}};
  const NoticeText text = describe(report, {}, name, kEnd);
  EXPECT_EQ(html_text(text).find("<b>"), std::string::npos);
  const std::string mail = mail_of(text, {"admin@example.org"});
  EXPECT_TRUE(std::all_of(mail.begin(), mail.end(),
                          [](char c) { return c == '\n' || (c >= ' ' && c < 0x7F); }));
  for (const auto line : split(mail, '\n')) EXPECT_LE(line.size(), 140U);
  nlohmann::json json;
  add_json(json, report, {});
  EXPECT_EQ(json["senders"][0]["name"], name);
  EXPECT_EQ(json["changes"].size(), 1U);
}

TEST(Report, SaysWhoChangedWhat) {
  DailyReport report = day();
  const auto change = [&](policyd::EventKind kind, const char* who, const char* detail) {
    policyd::Event event;
    event.kind = kind;
    event.module = "Core";
    event.first = event.last = kEnd;
    event.who = who;
    event.detail = detail;
    report.changes = {12, 0, {event}};
    const std::string text = text_of(report);
    const std::size_t at = text.find("Changes\n\n");
    return at == std::string::npos ? text : text.substr(at);
  };
  using policyd::EventKind;
  EXPECT_NE(change(EventKind::rules, "root", "carbonio-limits send 100/h")
                .find("  root changed the limits (carbonio-limits send 100/h).\n"),
            std::string::npos);
  EXPECT_NE(change(EventKind::rules, "", "").find("  the limits were changed.\n"),
            std::string::npos);
  EXPECT_NE(change(EventKind::paused, "root", "").find("  root paused the limits.\n"),
            std::string::npos);
  EXPECT_NE(change(EventKind::resumed, "", "its time was over")
                .find("  the pause of the limits ended (its time was over).\n"),
            std::string::npos);
  EXPECT_NE(change(EventKind::trouble, "", "disk I/O error")
                .find("  database trouble (disk I/O error).\n"),
            std::string::npos);
  EXPECT_NE(change(EventKind::recovered, "", "").find("  and 11 more\n"), std::string::npos);
}

}  // namespace
}  // namespace limits
