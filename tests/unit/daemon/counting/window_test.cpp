// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/window.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace policyd {
namespace {

constexpr Millis kHour = std::chrono::hours{1};

TimePoint at(std::int64_t ms) { return TimePoint{Millis{1'800'000'000'000 + ms}}; }

// Asks for one unit, and counts it when there is room.
bool passes(Window& window, TimePoint now, Millis period, std::uint64_t limit) {
  window.advance(now, period);
  if (window.use() + 1 > limit) return false;
  window.add(now, period, 1);
  return true;
}

std::string blob_of(const Window& window, double counter = 1, double last_update_s = 2.5) {
  std::string blob;
  window.serialize(blob, counter, last_update_s);
  return blob;
}

TEST(Window, LetsTheLimitThroughAndRefusesTheNext) {
  Window window;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(passes(window, at(i), kHour, 10)) << i;
  EXPECT_FALSE(passes(window, at(10), kHour, 10));
  EXPECT_EQ(window.use(), 10u);
}

TEST(Window, MergesTheArrivalsOfAnother) {
  Window a;
  Window b;
  a.add(at(0), kHour, 1);
  b.add(at(1'000'000), kHour, 2);
  a.add(at(2'000'000), kHour, 4);
  b.add(at(2'500'000), kHour, 8);
  a.merge(b);
  EXPECT_EQ(a.use(), 15u);
  for (const auto& [time, use] : {std::pair{3'600'000, 14u}, std::pair{4'600'000, 12u},
                                  std::pair{5'600'000, 8u}, std::pair{6'100'000, 0u}}) {
    Window later = a;
    later.advance(at(time - 1), kHour);
    EXPECT_GT(later.use(), use) << time;
    later.advance(at(time), kHour);
    EXPECT_EQ(later.use(), use) << time;
  }
  Window empty;
  empty.merge(a);
  EXPECT_EQ(empty, a);
  a.merge(Window{});
  EXPECT_EQ(empty, a);
}

TEST(Window, TakesBackTheOldestUnits) {
  Window window;
  window.add(at(0), kHour, 3);
  window.add(at(1'000'000), kHour, 4);
  window.take_back(2, at(1'000'000), kHour);
  EXPECT_EQ(window.use(), 5U);
  window.take_back(2, at(1'000'000), kHour);
  EXPECT_EQ(window.use(), 3U);
  window.advance(at(3'600'000), kHour);
  EXPECT_EQ(window.use(), 3U);  // those of the second time
  const auto again = Window::parse(blob_of(window), 1, 2.5);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, window);
  window.take_back(9, at(1'000'000), kHour);
  EXPECT_EQ(window, Window{});
  window.add(at(3'700'000), kHour, 1);
  EXPECT_EQ(window.use(), 1U);
}

// Of all pairs but the newest it is known to the minute when they began.
TEST(Window, TakesBackNothingThatArrivedLater) {
  Window window;
  window.add(at(1'000), kHour, 3);
  window.add(at(2'000), kHour, 4);
  window.take_back(5, at(999), kHour);
  EXPECT_EQ(window.use(), 7U);
  window.take_back(5, at(1'000), kHour);
  EXPECT_EQ(window.use(), 2U);
  window.add(at(600'000), kHour, 1);
  window.take_back(3, at(500'000), kHour);
  EXPECT_EQ(window.use(), 1U);
  window.add(at(900'000), kHour, 1);
  window.take_back(2, at(500'000), kHour);
  EXPECT_EQ(window.use(), 2U);
}

TEST(Window, HoldsMostPairsAfterAMerge) {
  constexpr std::int64_t kPairs = 61;
  Window a;
  Window b;
  for (std::int64_t i = 0; i < kPairs; ++i) {
    a.add(at(i * 60'001), kHour, 1);
    b.add(at(i * 60'001 + 30'000), kHour, 1);
  }
  a.merge(b);
  EXPECT_EQ(a.use(), 122u);
  EXPECT_TRUE(Window::parse(blob_of(a), 1, 2.5).has_value());
  a.advance(at(kPairs * 60'001 + 30'000 + 3'600'000), kHour);
  EXPECT_EQ(a.use(), 0u);
}

TEST(Window, HoldsAUnitForExactlyOnePeriod) {
  Window window;
  window.add(at(0), kHour, 1);
  window.advance(at(3'599'999), kHour);
  EXPECT_EQ(window.use(), 1u);
  window.advance(at(3'600'000), kHour);
  EXPECT_EQ(window.use(), 0u);
  EXPECT_EQ(window, Window{});
}

TEST(Window, JoinsWhatArrivesWithinASixtiethOfThePairsFirst) {
  Window window;
  window.add(at(0), kHour, 1);
  window.add(at(60'000), kHour, 1);  // joins, and holds both
  window.add(at(60'001), kHour, 1);  // a pair of its own
  window.advance(at(3'600'000), kHour);
  EXPECT_EQ(window.use(), 3u);
  window.advance(at(3'660'000), kHour);
  EXPECT_EQ(window.use(), 1u);
  window.advance(at(3'660'001), kHour);
  EXPECT_EQ(window.use(), 0u);
}

TEST(Window, MeasuresJoiningFromTheFirstArrivalNotTheLast) {
  Window window;
  for (std::int64_t ms = 0; ms <= 120'000; ms += 30'000) window.add(at(ms), kHour, 1);
  // 0, 30 s, 60 s make one pair, 90 s, 120 s another.
  window.advance(at(3'660'000), kHour);
  EXPECT_EQ(window.use(), 2u);
}

TEST(Window, WorksWithPeriodsOfOneSecondAndBelow) {
  for (const std::int64_t period : {1, 10, 59, 60, 61, 1000}) {
    Window window;
    EXPECT_TRUE(passes(window, at(0), Millis{period}, 1)) << period;
    EXPECT_FALSE(passes(window, at(period - 1), Millis{period}, 1)) << period;
    EXPECT_TRUE(passes(window, at(period), Millis{period}, 1)) << period;
  }
}

TEST(Window, CountsNothingForNoUnits) {
  Window window;
  window.add(at(0), kHour, 0);
  EXPECT_EQ(window, Window{});
}

TEST(Window, TakesTimesAheadForNowWhenTheClockWasSetBack) {
  Window window;
  window.add(at(0), kHour, 1);
  window.add(at(kHour.count() / 2), kHour, 2);
  window.add(at(kHour.count() - 1), kHour, 4);
  window.advance(at(1000), kHour);
  EXPECT_EQ(window.use(), 7u);
  window.advance(at(kHour.count()), kHour);
  EXPECT_EQ(window.use(), 6u);
  window.advance(at(kHour.count() + 999), kHour);
  EXPECT_EQ(window.use(), 6u);
  window.advance(at(kHour.count() + 1000), kHour);
  EXPECT_EQ(window.use(), 0u);
}

TEST(Window, KeepsEveryUnitWhenALongerPeriodMakesTooManyPairs) {
  Window window;
  const Millis minute = std::chrono::minutes{1};
  std::uint64_t added = 0;
  for (std::int64_t ms = 0; ms < 61'000; ms += 1001, ++added) window.add(at(ms), minute, 1);
  for (std::int64_t ms = 61'000; ms < 3'600'000; ms += 60'001, ++added) {
    window.advance(at(ms), kHour);
    window.add(at(ms), kHour, 1);
    ASSERT_EQ(window.use(), added + 1);
    ASSERT_TRUE(Window::parse(blob_of(window), 1, 2.5)) << "more pairs than are allowed";
  }
}

TEST(Window, SaturatesInsteadOfOverflowing) {
  Window window;
  const auto most = std::numeric_limits<std::uint64_t>::max();
  window.add(at(0), kHour, most);
  window.add(at(1), kHour, most);
  EXPECT_EQ(window.use(), Window::kMaxUnits);
  window.add(at(120'000), kHour, most);
  EXPECT_EQ(window.use(), 2 * Window::kMaxUnits);
  window.advance(at(0), kHour);  // both become now, so one pair
  EXPECT_EQ(window.use(), Window::kMaxUnits);
}

TEST(Window, SurvivesAbsurdTimesAndPeriods) {
  for (const auto period : {Millis::min(), Millis{-1}, Millis{0}, Millis{1}, Millis::max()}) {
    Window window;
    for (const auto now : {TimePoint::min(), TimePoint::max(), TimePoint{}, at(0)}) {
      window.advance(now, period);
      window.add(now, period, 1);
      EXPECT_TRUE(window.free_at(period, 5, 1));
      EXPECT_EQ(Window::parse(blob_of(window), 1, 2.5), window);
    }
  }
}

struct CounterCase {
  const char* name;
  double counter;
  std::uint64_t units;
};

TEST(Window, TakesOverTheCounterOfTheOtherDaemon) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const CounterCase& c : {
           CounterCase{"none", 0, 0},
           CounterCase{"whole", 3, 3},
           CounterCase{"fraction rounds up", 3.0001, 4},
           CounterCase{"small fraction", 1e-9, 1},
           CounterCase{"smallest there is", std::numeric_limits<double>::denorm_min(), 1},
           CounterCase{"negative", -5, 0},
           CounterCase{"negative zero", -0.0, 0},
           CounterCase{"no number", std::nan(""), 0},
           CounterCase{"huge", 1e300, Window::kMaxUnits},
           CounterCase{"infinite", infinity, Window::kMaxUnits},
           CounterCase{"minus infinite", -infinity, 0},
       }) {
    Window window = Window::of_counter(c.counter, at(0));
    EXPECT_EQ(window.use(), c.units) << c.name;
    window.advance(at(3'599'999), kHour);
    EXPECT_EQ(window.use(), c.units) << c.name;
    window.advance(at(3'600'000), kHour);
    EXPECT_EQ(window.use(), 0u) << c.name;
  }
}

TEST(Window, SaysWhenThereWillBeRoom) {
  Window window;
  window.add(at(0), kHour, 3);
  window.add(at(120'000), kHour, 2);
  const TimePoint first_leaves = at(3'600'000);
  const TimePoint second_leaves = at(3'720'000);
  EXPECT_EQ(window.free_at(kHour, 6, 1), Window::kEarliest);
  EXPECT_EQ(window.free_at(kHour, 5, 1), first_leaves);
  EXPECT_EQ(window.free_at(kHour, 5, 3), first_leaves);
  EXPECT_EQ(window.free_at(kHour, 5, 4), second_leaves);
  EXPECT_EQ(window.free_at(kHour, 5, 5), second_leaves);
  EXPECT_EQ(window.free_at(kHour, 5, 6), std::nullopt);
  EXPECT_EQ(window.free_at(kHour, 1, 1), second_leaves);
  EXPECT_EQ(Window{}.free_at(kHour, 0, 0), Window::kEarliest);
  EXPECT_EQ(window.free_at(Millis::max(), 5, 5), TimePoint::max());
}

TEST(Window, HasRoomAtTheTimeItSaysAndNotBefore) {
  Window window;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(passes(window, at(i * 90'000), kHour, 10));
  ASSERT_FALSE(passes(window, at(1'000'000), kHour, 10));
  const auto when = window.free_at(kHour, 10, 1);
  ASSERT_TRUE(when);
  EXPECT_FALSE(passes(window, *when - Millis{1}, kHour, 10));
  EXPECT_TRUE(passes(window, *when, kHour, 10));
}

TEST(WindowState, ComesBackAsItWas) {
  Window window;
  EXPECT_EQ(Window::parse(blob_of(window), 1, 2.5), window);
  for (std::int64_t ms = 0; ms < 4'000'000; ms += 25'000) {
    window.advance(at(ms), kHour);
    window.add(at(ms), kHour, static_cast<std::uint64_t>(ms % 7) + 1);
    const std::string blob = blob_of(window, static_cast<double>(window.use()), to_seconds(at(ms)));
    const auto parsed = Window::parse(blob, static_cast<double>(window.use()), to_seconds(at(ms)));
    ASSERT_EQ(parsed, window) << ms;
    ASSERT_EQ(parsed->use(), window.use()) << ms;
  }
}

TEST(WindowState, IsSmallForACounterThatIsLittleUsed) {
  Window window;
  window.add(at(0), kHour, 1);
  EXPECT_LE(blob_of(window).size(), 27u);
}

TEST(WindowState, IsDroppedWhenAColumnWasEdited) {
  Window window;
  window.add(at(0), kHour, 1);
  const std::string blob = blob_of(window, 1, 1700000000.25);
  EXPECT_TRUE(Window::parse(blob, 1, 1700000000.25));
  EXPECT_FALSE(Window::parse(blob, 0, 1700000000.25));
  EXPECT_FALSE(Window::parse(blob, std::nextafter(1, 2), 1700000000.25));
  EXPECT_FALSE(Window::parse(blob, 1, 1700000000.5));
  EXPECT_FALSE(Window::parse(blob_of(window, std::nan(""), 0), std::nan(""), 0));
}

TEST(WindowState, IsDroppedWhenItWasCutShort) {
  Window window;
  for (std::int64_t ms = 0; ms < 600'000; ms += 100'000) window.add(at(ms), kHour, 300);
  const std::string blob = blob_of(window);
  for (std::size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(Window::parse(std::string_view{blob}.substr(0, size), 1, 2.5)) << size;
  }
  EXPECT_TRUE(Window::parse(blob, 1, 2.5));
  EXPECT_FALSE(Window::parse(blob + '\0', 1, 2.5));
}

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  return out + static_cast<char>(value);
}

// A blob whose columns are 1 and 2.5, up to the number of pairs.
std::string front(std::uint64_t pairs) {
  const std::string empty = blob_of(Window{});
  return empty.substr(0, empty.size() - 1) + varint(pairs);
}

struct BlobCase {
  std::string name;
  std::string blob;
  bool valid = false;
};

TEST(WindowState, BoundsWhateverIsInIt) {
  const std::string now = varint(1'800'000'000'000);
  std::string many;
  for (std::size_t i = 1; i < Window::kMaxPairs; ++i) many += varint(1) + varint(1);
  const std::string one = now + varint(0) + varint(1);
  const std::string one_more = varint(1) + varint(1);
  const std::string endless(12, '\x80');
  const std::uint64_t most = Window::kMaxUnits;
  const auto latest = static_cast<std::uint64_t>(Window::kLatest.time_since_epoch().count());
  const std::string early = varint(5) + varint(1) + varint(1);  // at 6 ms after 1970

  for (const BlobCase& c : {
           BlobCase{"nothing", ""},
           BlobCase{"another version", "\x02" + front(1).substr(1) + one},
           BlobCase{"no pair", front(0), true},
           BlobCase{"one pair", front(1) + one, true},
           BlobCase{"a pair that was not announced", front(0) + one},
           BlobCase{"a pair that is missing", front(2) + one},
           BlobCase{"a first arrival and no pair", front(1) + now},
           BlobCase{"a time without units", front(1) + now + varint(0)},
           BlobCase{"no units", front(1) + now + varint(0) + varint(0)},
           BlobCase{"most units", front(1) + now + varint(0) + varint(most), true},
           BlobCase{"more units", front(1) + now + varint(0) + varint(most + 1)},
           BlobCase{"units of 64 bits", front(1) + now + varint(0) + varint(~std::uint64_t{0})},
           BlobCase{"latest time", front(1) + varint(latest) + varint(0) + varint(1), true},
           BlobCase{"later", front(1) + varint(latest + 1) + varint(0) + varint(1)},
           BlobCase{"later by the sum", front(1) + varint(latest) + varint(1) + varint(1)},
           BlobCase{"back to 1970", front(2) + early + varint(6) + varint(1), true},
           BlobCase{"further back", front(2) + early + varint(7) + varint(1)},
           BlobCase{"endless number of pairs", front(0).substr(0, 17) + endless},
           BlobCase{"endless varint", front(1) + endless},
           BlobCase{"endless units", front(1) + now + varint(0) + endless},
           BlobCase{"most pairs", front(Window::kMaxPairs) + one + many, true},
           BlobCase{"more pairs", front(Window::kMaxPairs + 1) + one + many + one_more},
           BlobCase{"ten megabytes of pairs", front(9) + now + std::string(10 << 20, '\x01')},
           BlobCase{"ten megabytes of nothing", front(0) + std::string(10 << 20, '\0')},
       }) {
    const auto parsed = Window::parse(c.blob, 1, 2.5);
    EXPECT_EQ(parsed.has_value(), c.valid) << c.name;
    if (!parsed) continue;
    Window window = *parsed;
    window.advance(at(0), kHour);
    window.add(at(0), kHour, 1);
    EXPECT_EQ(Window::parse(blob_of(window), 1, 2.5), window) << c.name;
  }
}

}  // namespace
}  // namespace policyd
