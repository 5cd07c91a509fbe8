// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/notify/notice_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "plugin/notify/notice_mail.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr policyd::TimePoint kNow{std::chrono::hours{500'000}};

Notice refused(const std::string& key, const std::string& client = "") {
  Notice notice;
  policyd::Event event;
  event.module = "Quotas";
  event.row_id = 4;
  event.track_key = key;
  event.verdict = "defer";
  event.client = client;
  event.first = event.last = kNow;
  event.times = 57;
  notice.news.groups.refused = {1, 57, {event}};
  return notice;
}

std::size_t longest(std::string_view text) {
  std::size_t out = 0;
  for (const auto line : split(text, '\n')) out = std::max(out, line.size());
  return out;
}

TEST(NoticeText, IsShortLinesWhateverIsInIt) {
  for (const std::string& name :
       {std::string(512, '<'), std::string(512, '\x01'), std::string(512, '='),
        std::string("a\r\n.\r\nRCPT TO:<x@example.org>"), std::string(200, ' ')}) {
    const auto text = describe(refused("Sender:" + name, name), {}, "mta1", kNow);
    const std::string mail = mail_of(text, {"admin@example.org"});
    EXPECT_LE(longest(mail), 100U) << name;
    EXPECT_EQ(mail.find('\r'), std::string::npos);
    EXPECT_EQ(mail.find("\n.\n"), std::string::npos);
    EXPECT_TRUE(std::all_of(mail.begin(), mail.end(),
                            [](char c) { return c == '\n' || (c >= ' ' && c < 0x7F); }));
    EXPECT_EQ(std::count(text.subject.begin(), text.subject.end(), '\n'), 0);
    EXPECT_LE(text.subject.size(), 140U);
  }
}

// Wherever a long word is cut.
TEST(NoticeText, BeginsNoLineWithADot) {
  for (std::size_t size = 1; size < 200; ++size) {
    const std::string dots = std::string(size, 'x') + std::string(200, '.');
    const std::string mail =
        mail_of(describe(refused("Sender:" + dots), {}, "mta1", kNow), {"admin@example.org"});
    EXPECT_EQ(mail.find("\n."), std::string::npos) << size;
  }
}

TEST(NoticeText, CutsTheNameInTheSubjectAndNotTheSentence) {
  const auto subject_of = [](std::size_t name, std::size_t counters) {
    Notice notice = refused("Sender:" + std::string(name, 'x'));
    notice.news.groups.refused.counters = counters;
    return describe(notice, {}, "mta1", kNow).subject;
  };
  const std::string begin = "[mta1] Mail limits: ";
  EXPECT_EQ(subject_of(40, 5), begin + std::string(40, 'x') + " and 4 more refused");
  EXPECT_EQ(subject_of(41, 5), begin + std::string(41, 'x') + " and 4 more refused");
  EXPECT_EQ(subject_of(42, 5), begin + std::string(38, 'x') + "... and 4 more refused");
  EXPECT_EQ(subject_of(300, 5), begin + std::string(38, 'x') + "... and 4 more refused");
  EXPECT_EQ(subject_of(300, 1), begin + std::string(49, 'x') + "... refused");
  EXPECT_EQ(subject_of(300, 10'000), begin + std::string(35, 'x') + "... and 9999 more refused");
}

TEST(NoticeText, EscapesMarkup) {
  const auto text = describe(refused("Sender:<a href=\"x\">&@example.org"), {}, "mta1", kNow);
  const std::string html = html_text(text);
  EXPECT_NE(html.find("&lt;a href=&quot;x&quot;&gt;&amp;@example.org"), std::string::npos) << html;
  EXPECT_EQ(html.find("<a"), std::string::npos);
}

TEST(NoticeText, OffersOnlyWhatCanBeTypedAndIsMeant) {
  NoticeContext context;
  context.own.domains = {"example.org"};
  context.never = {"boss"};
  const auto commands = [&](const std::string& key) {
    const auto text = describe(refused(key), context, "mta1", kNow);
    std::string out;
    for (const auto& [label, command] : text.sections.front().items.front().commands) {
      out += command + ';';
    }
    return out;
  };
  EXPECT_EQ(commands("Sender:anna@example.org"), "carbonio-limits block anna@example.org;");
  EXPECT_EQ(commands("SASLUsername:anna"), "carbonio-limits block anna;");
  EXPECT_EQ(commands("SenderIP:192.0.2.1/32"), "carbonio-limits block 192.0.2.1;");
  EXPECT_EQ(commands("Sender:-x@a.b"), "carbonio-limits block -- -x@a.b;");
  for (const char* key : {"Policy", "Sender:@example.org", "Sender:", "Sender:@",
                          "Sender:a\n@example.org", "Recipient:x@example.org", "SASLUsername:a b",
                          "nonsense", "SASLUsername:postmaster", "Sender:boss@example.org"}) {
    EXPECT_EQ(commands(key), "") << key;
  }
}

}  // namespace
}  // namespace limits
