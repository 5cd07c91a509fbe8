// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_queue.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace policyd {
namespace {

constexpr TimePoint kNoon{std::chrono::seconds{1795348800}};
constexpr EventQueue::What kRefusal{EventKind::refused, "Quotas", 4, "Sender:anna@example.org",
                                    "defer"};

TEST(EventQueue, CountsRepetitionsWithoutAnotherEvent) {
  EventQueue queue;
  EXPECT_TRUE(queue.empty());
  ASSERT_NE(queue.note(kRefusal, kNoon), nullptr);
  EXPECT_EQ(queue.note(kRefusal, kNoon + Millis{59'999}), nullptr);
  auto batch = queue.take();
  EXPECT_TRUE(queue.empty());
  ASSERT_EQ(batch->size(), 1);
  const Event event = batch->take_oldest();
  EXPECT_EQ(event.times, 2);
  EXPECT_EQ(event.first, kNoon);
  EXPECT_EQ(event.last, kNoon + Millis{59'999});
  EXPECT_EQ(batch->size(), 0);
}

TEST(EventQueue, KeepsApartWhatIsOfAnotherMinuteOrCounter) {
  EventQueue queue;
  queue.note(kRefusal, kNoon);
  EXPECT_NE(queue.note(kRefusal, kNoon + Millis{60'000}), nullptr);
  for (int part = 0; part < 5; ++part) {
    EventQueue::What what = kRefusal;
    if (part == 0) what.kind = EventKind::watched;
    if (part == 1) what.module = "Accounting";
    if (part == 2) what.row_id = 5;
    if (part == 3) what.track_key = "Sender:bob@example.org";
    if (part == 4) what.verdict = "reject";
    EXPECT_NE(queue.note(what, kNoon), nullptr) << part;
  }
}

TEST(EventQueue, NamesTheLastMail) {
  EventQueue queue;
  Request request;
  request.sender = "anna@example.org";
  request.recipient = "bob@example.net";
  request.sasl_username = "anna";
  request.client_address = *IpAddress::parse("192.0.2.1");
  const Event* event = queue.note(kRefusal, request, kNoon);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->sender, "anna@example.org");
  EXPECT_EQ(event->recipient, "bob@example.net");
  EXPECT_EQ(event->login, "anna");
  request.sender = "carl@example.org";
  request.sasl_username.reset();
  request.client_address = *IpAddress::parse("192.0.2.2");
  EXPECT_EQ(queue.note(kRefusal, request, kNoon), nullptr);
  EXPECT_EQ(event->times, 2);
  EXPECT_EQ(event->sender, "carl@example.org");
  EXPECT_EQ(event->login, "");
  EXPECT_EQ(queue.take()->take_oldest().client, "192.0.2.2");
}

TEST(EventQueue, CountsWhatDoesNotFit) {
  EventQueue queue{2};
  for (int i = 0; i < 5; ++i) {
    const std::string key = "k" + std::to_string(i);
    queue.note({EventKind::refused, "Quotas", 4, key, "defer"}, kNoon);
  }
  queue.note({EventKind::refused, "Quotas", 4, "k0", "defer"}, kNoon);
  const auto batch = queue.take();
  EXPECT_EQ(batch->size(), 2);
  EXPECT_EQ(batch->lost(), 3);
}

TEST(EventQueue, CutsLongNames) {
  EventQueue queue;
  const std::string longer(100'000, 'x');
  Request request;
  request.sender = request.recipient = longer;
  request.sasl_username = longer;
  EventQueue::What what = kRefusal;
  what.track_key = longer;
  const Event* event = queue.note(what, request, kNoon);
  EXPECT_EQ(event->track_key.size(), Event::kMaxKey);
  EXPECT_EQ(event->sender.size(), Event::kMaxText);
  EXPECT_EQ(event->login.size(), Event::kMaxText);
  EXPECT_EQ(queue.note(what, request, kNoon), nullptr) << "the same, however long";
}

TEST(EventQueue, IsNearWhenTheShareIsReachedNotBeforeNorAgain) {
  EventQueue queue;
  EXPECT_FALSE(queue.is_near(79, 80, 100)) << "off";
  queue.set_near_percent(80);
  EXPECT_FALSE(queue.is_near(78, 79, 100));
  EXPECT_TRUE(queue.is_near(79, 80, 100));
  EXPECT_FALSE(queue.is_near(80, 81, 100));
  EXPECT_TRUE(queue.is_near(0, 100, 100)) << "at once";
  EXPECT_TRUE(queue.is_near(3, 4, 5));
  EXPECT_FALSE(queue.is_near(3, 4, 4)) << "nothing is left then";
  EXPECT_FALSE(queue.is_near(0, 1, 1));
  EXPECT_FALSE(queue.is_near(0, 0, 0));
}

std::map<std::string, std::uint64_t> totals_of(EventQueue& queue) {
  std::map<std::string, std::uint64_t> out;
  queue.each_total([&](const EventQueue::Total& total) {
    out[std::string{name_of(total.kind)} + " " + total.module + " " + std::to_string(total.row_id) +
        " " + total.verdict] = total.times;
  });
  return out;
}

TEST(EventQueue, CountsByRowWhatMailMet) {
  EventQueue queue{1};
  EventQueue::What near = kRefusal;
  near.kind = EventKind::near;
  near.verdict = {};
  queue.note({EventKind::rules, "Core", 7, {}, {}}, kNoon);  // concerns no mail
  for (int i = 0; i < 3; ++i) {
    queue.note(kRefusal, Request{}, kNoon);  // though the event does not fit
    queue.take();
  }
  queue.note(near, Request{}, kNoon);
  EXPECT_EQ(totals_of(queue), (std::map<std::string, std::uint64_t>{{"refused Quotas 4 defer", 3},
                                                                    {"near Quotas 4 ", 1}}));
}

TEST(EventQueue, AddsUpOnceHoweverOftenItIsRead) {
  EventQueue queue;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    queue.note(kRefusal, Request{}, kNoon);
    if (i == 2) queue.take();
    EXPECT_EQ(totals_of(queue).at("refused Quotas 4 defer"), i);
    ASSERT_EQ(queue.refused_counters().most_often(9, kNoon).size(), 1);
    EXPECT_EQ(queue.refused_counters().most_often(9, kNoon).front().times, i);
  }
}

TEST(EventQueue, RemembersThoseThatWereRefusedLast) {
  EventQueue queue;
  EventQueue::What what = kRefusal;
  std::string key;
  for (std::size_t i = 0; i < RefusedCounters::kCapacity + 1; ++i) {
    key = "Sender:" + std::to_string(i);
    what.track_key = key;
    queue.note(what, Request{}, kNoon);
  }
  const auto counters = queue.refused_counters().most_often(9'999, kNoon);
  EXPECT_EQ(counters.size(), RefusedCounters::kCapacity);
  for (const auto& counter : counters) EXPECT_NE(counter.track_key, "Sender:0");
  EXPECT_EQ(queue.take()->take_oldest().track_key, "Sender:0") << "the order is as it was";
}

TEST(EventQueue, CountsRowsBeyondTheBoundTogether) {
  EventQueue queue;
  EventQueue::What what = kRefusal;
  for (std::size_t i = 0; i < EventQueue::kMaxTotals + 10; ++i) {
    what.row_id = static_cast<std::int64_t>(i) + 1;
    queue.note(what, Request{}, kNoon);
    queue.note(what, Request{}, kNoon);
  }
  const auto totals = totals_of(queue);
  EXPECT_EQ(totals.size(), EventQueue::kMaxTotals + 1);
  EXPECT_EQ(totals.at("refused other 0 "), 20);
  EXPECT_EQ(totals.at("refused Quotas 1 defer"), 2);
}

TEST(EventQueue, RemembersTheCountersOfLimitsThatRefuse) {
  EventQueue queue{1};
  EventQueue::What other = kRefusal;
  other.kind = EventKind::near;
  queue.note(other, Request{}, kNoon);
  other = kRefusal;
  other.module = "Greylisting";
  queue.note(other, Request{}, kNoon);
  EXPECT_TRUE(queue.refused_counters().most_often(9, kNoon).empty());
  other.module = "Accounting";
  queue.note(other, Request{}, kNoon);
  EventQueue::What longest = kRefusal;
  const std::string key(Event::kMaxKey + 1, 'x');
  longest.track_key = key;
  queue.note(longest, Request{}, kNoon);  // though the event does not fit
  queue.note(longest, Request{}, kNoon);
  const auto counters = queue.refused_counters().most_often(9, kNoon);
  ASSERT_EQ(counters.size(), 2);
  EXPECT_EQ(counters[0].track_key.size(), Event::kMaxKey);
  EXPECT_EQ(counters[1].module, "Accounting");
}

}  // namespace
}  // namespace policyd
