// SPDX-License-Identifier: AGPL-3.0-only
// Random traffic against an oracle that remembers every single arrival. Two promises: in no
// stretch of a period does more than the limit pass, ever; and nothing is refused that would pass
// if every unit were held one sixtieth of a period too long.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "daemon/counting/window.hpp"

namespace policyd {
namespace {

struct Arrival {
  std::int64_t ms;  // real time, which never goes back
  std::uint64_t units;
};

// The units that arrived later than `since`.
std::uint64_t units_after(const std::vector<Arrival>& arrivals, std::int64_t since) {
  std::uint64_t sum = 0;
  for (auto it = arrivals.rbegin(); it != arrivals.rend() && it->ms > since; ++it) sum += it->units;
  return sum;
}

// The most units in any half-open stretch of a period; each such stretch may begin at an arrival.
std::uint64_t fullest_stretch(const std::vector<Arrival>& arrivals, std::int64_t period) {
  std::uint64_t most = 0;
  std::uint64_t sum = 0;
  std::size_t oldest = 0;
  for (const Arrival& arrival : arrivals) {
    sum += arrival.units;
    for (; arrivals[oldest].ms <= arrival.ms - period; ++oldest) sum -= arrivals[oldest].units;
    most = std::max(most, sum);
  }
  return most;
}

enum class Pattern { steady, bursts, at_the_edges, idle_then_flood, same_moment };
constexpr std::array kPatterns = {Pattern::steady, Pattern::bursts, Pattern::at_the_edges,
                                  Pattern::idle_then_flood, Pattern::same_moment};

class Traffic {
 public:
  Traffic(Pattern pattern, std::int64_t period, std::uint64_t limit, unsigned seed)
      : pattern_(pattern), period_(period), limit_(limit), random_(seed) {}

  // How long until the next arrival.
  std::int64_t gap() {
    const auto mean = std::max<std::int64_t>(1, period_ / static_cast<std::int64_t>(limit_));
    switch (pattern_) {
      case Pattern::steady:
        return between(0, 2 * mean);
      case Pattern::bursts:
        return between(0, 20) == 0 ? between(0, 2 * period_) : between(0, period_ / 100 + 1);
      case Pattern::at_the_edges: {
        const std::int64_t edges[] = {
            period_ / 60, period_ / 60 + 1, period_,           period_ - 1,
            period_ + 1,  period_ / 60 - 1, period_ * 61 / 60, 0};
        return std::max<std::int64_t>(0, edges[between(0, 7)]);
      }
      case Pattern::idle_then_flood:
        return between(0, 50) == 0 ? std::max<std::int64_t>(0, period_ - between(0, 3))
                                   : between(0, 1);
      case Pattern::same_moment:
        return between(0, 3) == 0 ? between(0, mean) : 0;
    }
    return 1;
  }

  std::uint64_t units() {
    if (between(0, 1) == 0) return 1;
    return static_cast<std::uint64_t>(between(1, static_cast<std::int64_t>(limit_ / 3 + 1)));
  }

  std::int64_t between(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, std::max(least, most))(random_);
  }

 private:
  Pattern pattern_;
  std::int64_t period_;
  std::uint64_t limit_;
  std::mt19937_64 random_;
};

Window stored_and_read(const Window& window, double counter, double last_update_s) {
  std::string blob;
  window.serialize(blob, counter, last_update_s);
  auto parsed = Window::parse(blob, counter, last_update_s);
  EXPECT_TRUE(parsed);
  EXPECT_EQ(parsed, window);
  return parsed.value_or(Window{});
}

struct Setting {
  std::int64_t period;
  std::uint64_t limit;
  Pattern pattern;
  unsigned seed;
};

std::ostream& operator<<(std::ostream& out, const Setting& s) {
  return out << s.limit << " in " << s.period << " ms, pattern " << static_cast<int>(s.pattern)
             << ", seed " << s.seed;
}

class WindowProperty : public ::testing::TestWithParam<std::int64_t> {
 protected:
  template <typename Check>
  void for_each_setting(Check check) {
    unsigned seed = 1;
    for (const std::uint64_t limit : {1u, 2u, 3u, 10u, 59u, 61u, 250u}) {
      for (const Pattern pattern : kPatterns) {
        const Setting setting{GetParam(), limit, pattern, seed++};
        SCOPED_TRACE(::testing::PrintToString(setting));
        check(setting);
        if (HasFatalFailure()) return;
      }
    }
  }
};

constexpr std::int64_t kStart = 1'800'000'000'000;
constexpr int kArrivals = 1500;

void traffic_keeps_both_promises(const Setting& s) {
  Traffic traffic{s.pattern, s.period, s.limit, s.seed};
  const Millis period{s.period};
  std::vector<Arrival> accepted;
  Window window;
  std::int64_t now = kStart;
  for (int i = 0; i < kArrivals; ++i) {
    now += traffic.gap();
    const std::uint64_t units = traffic.units();
    const TimePoint time{Millis{now}};
    window.advance(time, period);
    ASSERT_GE(window.use(), units_after(accepted, now - s.period)) << "held too short";
    if (window.use() + units <= s.limit) {
      window.add(time, period, units);
      accepted.push_back({now, units});
    } else {
      const auto with_spare = units_after(accepted, now - s.period - s.period / 60);
      ASSERT_GT(with_spare + units, s.limit) << "refused without need";
    }
    if (i % 3 == 0) window = stored_and_read(window, i, to_seconds(time));
  }
  ASSERT_LE(fullest_stretch(accepted, s.period), s.limit);
  ASSERT_FALSE(accepted.empty());
}

TEST_P(WindowProperty, NeverMoreThanTheLimitAndNeverRefusesWithoutNeed) {
  for_each_setting(traffic_keeps_both_promises);
}

// The clock of the host is set back now and then. What the daemon sees is the clock; what counts
// is real time.
void traffic_keeps_the_limit_on_a_bad_clock(const Setting& s) {
  Traffic traffic{s.pattern, s.period, s.limit, s.seed};
  const Millis period{s.period};
  std::vector<Arrival> accepted;
  Window window;
  std::int64_t now = kStart;
  std::int64_t behind = 0;
  for (int i = 0; i < kArrivals; ++i) {
    now += traffic.gap();
    if (traffic.between(0, 20) == 0) behind += traffic.between(0, s.period);
    const TimePoint clock{Millis{now - behind}};
    window.advance(clock, period);
    if (window.use() + 1 <= s.limit) {
      window.add(clock, period, 1);
      accepted.push_back({now, 1});
    }
    window = stored_and_read(window, i, to_seconds(clock));
  }
  ASSERT_LE(fullest_stretch(accepted, s.period), s.limit);
}

TEST_P(WindowProperty, NeverMoreThanTheLimitThoughTheClockIsSetBack) {
  for_each_setting(traffic_keeps_the_limit_on_a_bad_clock);
}

// The admin shortens the period, and later units are counted by the new one.
void traffic_keeps_the_limit_when_the_period_is_shortened(const Setting& s) {
  Traffic traffic{s.pattern, s.period, s.limit, s.seed};
  std::vector<Arrival> accepted;
  Window window;
  std::int64_t now = kStart;
  std::int64_t period = s.period * 8;
  for (int i = 0; i < kArrivals; ++i) {
    now += traffic.gap();
    if (i % (kArrivals / 4) == 0) period = std::max(s.period, period / 2);
    const TimePoint time{Millis{now}};
    window.advance(time, Millis{period});
    if (window.use() + 1 <= s.limit) {
      window.add(time, Millis{period}, 1);
      accepted.push_back({now, 1});
    }
    window = stored_and_read(window, i, to_seconds(time));
  }
  ASSERT_LE(fullest_stretch(accepted, s.period), s.limit);
}

TEST_P(WindowProperty, NeverMoreThanTheLimitThoughThePeriodIsShortened) {
  for_each_setting(traffic_keeps_the_limit_when_the_period_is_shortened);
}

INSTANTIATE_TEST_SUITE_P(Periods, WindowProperty,
                         ::testing::Values(1, 59, 60, 1'000, 10'000, 60'007, 3'600'000, 86'400'000,
                                           2'678'400'000));

// The oracle itself.
TEST(FullestStretch, IsHalfOpen) {
  EXPECT_EQ(fullest_stretch({{0, 1}, {9, 1}, {10, 1}}, 10), 2u);
  EXPECT_EQ(fullest_stretch({{0, 1}, {10, 1}, {20, 1}}, 10), 1u);
  EXPECT_EQ(fullest_stretch({{0, 5}, {0, 3}, {30, 1}}, 10), 8u);
}

// Any bytes at all: parsed or not, but never a crash, and what is parsed can be used and stored.
TEST(WindowState, TakesAnyBytes) {
  std::mt19937_64 random{7};
  Window window;
  std::string valid;
  for (int i = 0; i < 40; ++i)
    window.add(TimePoint{Millis{kStart + i * 70'000}}, Millis{3'600'000}, 5);
  window.serialize(valid, 1, 2);
  int parsed_count = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string blob = valid;
    for (auto edits = random() % 4; edits > 0; --edits) {
      blob[17 + random() % (blob.size() - 17)] = static_cast<char>(random());
    }
    if (random() % 8 == 0) blob.resize(17 + random() % (blob.size() - 16));
    auto parsed = Window::parse(blob, 1, 2);
    if (!parsed) continue;
    ++parsed_count;
    parsed->advance(TimePoint{Millis{kStart}}, Millis{3'600'000});
    parsed->add(TimePoint{Millis{kStart}}, Millis{3'600'000}, random());
    stored_and_read(*parsed, 1, 2);
  }
  EXPECT_GT(parsed_count, 1000);
}

}  // namespace
}  // namespace policyd
