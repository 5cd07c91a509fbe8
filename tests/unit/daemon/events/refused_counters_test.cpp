// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/refused_counters.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr TimePoint kNoon{std::chrono::seconds{1795348800}};
constexpr std::string_view kAnna = "Sender:anna@example.org";
constexpr std::string_view kBert = "Sender:bert@example.org";

std::string keys_of(const std::vector<RefusedCounters::Refused>& counters) {
  std::string out;
  for (const auto& counter : counters) {
    out += counter.module + " " + std::to_string(counter.row_id) + " " + counter.track_key + " " +
           std::to_string(counter.times) + "\n";
  }
  return out;
}

TEST(RefusedCounters, KnowForHowLongOneHasBeenRefused) {
  RefusedCounters counters;
  EXPECT_EQ(counters.longest(kNoon), Millis{0});
  for (int i = 0; i <= 4; ++i) counters.note("Quotas", 4, kAnna, kNoon + i * minutes{15});
  counters.note("Quotas", 4, kBert, kNoon + minutes{50});
  counters.note("Quotas", 4, kBert, kNoon + minutes{60});
  EXPECT_EQ(counters.longest(kNoon + minutes{75}), minutes{60});
  EXPECT_EQ(counters.longest(kNoon + minutes{75} + Millis{1}), Millis{0}) << "none is refused";
  counters.note("Quotas", 4, kAnna, kNoon + minutes{75} + Millis{1});
  EXPECT_EQ(counters.longest(kNoon + minutes{76}), Millis{0}) << "begins again after a gap";
}

TEST(RefusedCounters, TellCountersApart) {
  RefusedCounters counters;
  counters.note("Quotas", 4, kAnna, kNoon);
  counters.note("Quotas", 5, kAnna, kNoon + minutes{10});
  counters.note("Accounting", 4, kAnna, kNoon + minutes{10});
  counters.note("Quotas", 4, kBert, kNoon + minutes{10});
  EXPECT_EQ(counters.longest(kNoon + minutes{10}), Millis{0});
}

TEST(RefusedCounters, ListTheMostOftenRefusedOfTheLastHour) {
  RefusedCounters counters;
  for (int i = 0; i < 3; ++i) counters.note("Quotas", 4, kBert, kNoon);
  counters.note("Accounting", 1, kBert, kNoon);
  for (int i = 0; i < 2; ++i) counters.note("Quotas", 4, kAnna, kNoon + minutes{1});
  EXPECT_EQ(keys_of(counters.most_often(2, kNoon + hours{1})),
            "Quotas 4 Sender:bert@example.org 3\nQuotas 4 Sender:anna@example.org 2\n");
  EXPECT_EQ(counters.most_often(9, kNoon + hours{1}).size(), 3);
  EXPECT_TRUE(counters.most_often(0, kNoon).empty());
  EXPECT_EQ(keys_of(counters.most_often(9, kNoon + hours{1} + Millis{1})),
            "Quotas 4 Sender:anna@example.org 2\n");
  counters.note("Quotas", 4, kBert, kNoon + hours{1} + Millis{1});
  EXPECT_EQ(keys_of(counters.most_often(9, kNoon + hours{1} + Millis{1})),
            "Quotas 4 Sender:anna@example.org 2\nQuotas 4 Sender:bert@example.org 1\n");
}

TEST(RefusedCounters, KeepThoseRefusedLast) {
  RefusedCounters counters;
  counters.note("Quotas", 4, kAnna, kNoon);
  counters.note("Quotas", 4, kBert, kNoon);
  for (std::size_t i = 0; i < RefusedCounters::kCapacity - 1; ++i) {
    counters.note("Quotas", 4, "Sender:" + std::to_string(i), kNoon);
    if (i == 0) counters.note("Quotas", 4, kBert, kNoon + minutes{2});
  }
  const auto all = counters.most_often(2 * RefusedCounters::kCapacity, kNoon);
  EXPECT_EQ(all.size(), RefusedCounters::kCapacity);
  EXPECT_EQ(all.front().track_key, kBert);
  EXPECT_EQ(all.front().times, 2);
  EXPECT_EQ(counters.longest(kNoon + minutes{2}), minutes{2});
  for (const auto& counter : all) EXPECT_NE(counter.track_key, kAnna);
  // What comes in the place of another begins at 1.
  counters.note("Quotas", 4, kAnna, kNoon + minutes{9});
  EXPECT_EQ(counters.longest(kNoon + minutes{9}), minutes{2});
  for (const auto& counter : counters.most_often(RefusedCounters::kCapacity, kNoon)) {
    if (counter.track_key == kAnna) {
      EXPECT_EQ(counter.times, 1);
    }
  }
}

TEST(RefusedCounters, BearClocksThatAreSetBack) {
  RefusedCounters counters;
  counters.note("Quotas", 4, kAnna, kNoon);
  counters.note("Quotas", 4, kAnna, kNoon - hours{5});
  EXPECT_EQ(counters.longest(kNoon - hours{5}), Millis{0});
  counters.note("Quotas", 4, kAnna, kNoon - hours{5} + minutes{5});
  EXPECT_EQ(counters.longest(kNoon - hours{5} + minutes{5}), minutes{5});
}

}  // namespace
}  // namespace policyd
