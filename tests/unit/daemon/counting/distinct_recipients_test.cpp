// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/distinct_recipients.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

namespace policyd {
namespace {

constexpr Millis kHour = std::chrono::hours{1};

TimePoint at(std::int64_t ms) { return TimePoint{Millis{1'800'000'000'000 + ms}}; }

std::uint64_t hash_of(const std::string& name) {
  return DistinctRecipients::hash_of(name, "@example.com");
}

struct Counted {
  Window window;
  DistinctRecipients recipients;

  [[nodiscard]] bool knows(const std::string& name) const {
    return recipients.last_use(window, hash_of(name)).has_value();
  }
  // Whether a mail to it passes, and counts it.
  bool passes(const std::string& name, TimePoint now, Millis period, std::uint64_t limit) {
    window.advance(now, period);
    if (knows(name)) {
      recipients.renew(window, hash_of(name), now, period);
      return true;
    }
    if (window.use() + 1 > limit) return false;
    recipients.add(window, hash_of(name), now, period);
    return true;
  }
  [[nodiscard]] std::string state() const {
    std::string out;
    recipients.serialize(out);
    window.serialize(out, 1, 2.5);
    return out;
  }
  static std::optional<Counted> read(std::string_view state) {
    Counted out;
    auto window = Window::parse(out.recipients.read(state), 1, 2.5);
    if (!window) return std::nullopt;
    out.window = std::move(*window);
    return out;
  }
};

TEST(DistinctRecipientsTest, CostACounterOfAnotherKindOnePointer) {
  EXPECT_EQ(sizeof(DistinctRecipients), sizeof(void*));
}

// It is stored.
TEST(DistinctRecipientsTest, AreHashedTheSameEverywhere) {
  EXPECT_EQ(DistinctRecipients::hash_of("anna", "@example.org"), 17126073491659073086U);
  EXPECT_EQ(DistinctRecipients::hash_of("anna", "@example.org"),
            DistinctRecipients::hash_of("anna@example", ".org"));
  EXPECT_NE(hash_of("anna"), hash_of("annb"));
}

TEST(DistinctRecipientsTest, CountEachOneOnce) {
  Counted counted;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(counted.passes(std::to_string(i % 3), at(i), kHour, 3)) << i;
  }
  EXPECT_EQ(counted.window.use(), 3u);
  EXPECT_FALSE(counted.passes("3", at(100), kHour, 3));
  EXPECT_TRUE(counted.passes("2", at(101), kHour, 3));
}

TEST(DistinctRecipientsTest, LeaveAPeriodAfterTheirLastUse) {
  Counted counted;
  EXPECT_TRUE(counted.passes("a", at(0), kHour, 2));
  EXPECT_TRUE(counted.passes("b", at(600'000), kHour, 2));
  EXPECT_TRUE(counted.passes("a", at(3'000'000), kHour, 2));
  EXPECT_FALSE(counted.passes("c", at(4'199'999), kHour, 2));
  EXPECT_TRUE(counted.passes("c", at(4'200'000), kHour, 2));  // b has left
  EXPECT_FALSE(counted.passes("b", at(6'599'999), kHour, 2));
  EXPECT_TRUE(counted.passes("b", at(6'600'000), kHour, 2));  // a has left
}

// A recipient that writes all the time must not hold those that were counted shortly before it.
TEST(DistinctRecipientsTest, DoNotHoldOneAnother) {
  Counted counted;
  EXPECT_TRUE(counted.passes("y", at(0), kHour, 2));
  for (std::int64_t ms = 1; ms < 3'660'000; ms += 7'000) {
    EXPECT_TRUE(counted.passes("r", at(ms), kHour, 2)) << ms;
  }
  EXPECT_TRUE(counted.passes("z", at(3'660'000), kHour, 2));
}

TEST(DistinctRecipientsTest, AreHeldAWholePeriodAfterTheClockWasSetBack) {
  Counted counted;
  EXPECT_TRUE(counted.passes("a", at(50'000'000), kHour, 1));
  EXPECT_TRUE(counted.passes("a", at(0), kHour, 1));
  EXPECT_FALSE(counted.passes("b", at(3'599'999), kHour, 1));
  EXPECT_TRUE(counted.passes("b", at(3'600'000), kHour, 1));
}

TEST(DistinctRecipientsTest, OfMoreThanItsRoomKnowTheLatest) {
  Counted counted;
  const int most = static_cast<int>(DistinctRecipients::kMax);
  for (int i = 0; i < most + 10; ++i) counted.passes(std::to_string(i), at(i), kHour, 1'000'000);
  EXPECT_EQ(counted.recipients.size(), DistinctRecipients::kMax);
  EXPECT_EQ(counted.window.use(), DistinctRecipients::kMax + 10);
  EXPECT_FALSE(counted.knows("9"));
  EXPECT_TRUE(counted.knows("10"));
  ASSERT_TRUE(Counted::read(counted.state()));
  EXPECT_EQ(Counted::read(counted.state())->state(), counted.state());
}

// Of units whose recipients are not known, as of a row that was edited, none is taken for another.
TEST(DistinctRecipientsTest, StandAfterUnitsThatAreNotKnown) {
  Counted counted;
  counted.window = Window::of_counter(5, at(0));
  counted.recipients.add(counted.window, hash_of("a"), at(1'800'000), kHour);
  counted.recipients.renew(counted.window, hash_of("a"), at(3'000'000), kHour);
  EXPECT_EQ(counted.window.use(), 6u);
  counted.window.advance(at(3'600'000), kHour);
  EXPECT_EQ(counted.window.use(), 1u);
  EXPECT_TRUE(counted.knows("a"));
}

TEST(DistinctRecipientsTest, WithoutTheirUnitsAreNotKnown) {
  Counted counted;
  counted.passes("a", at(0), kHour, 2);
  counted.passes("b", at(1'000'000), kHour, 2);
  counted.window.advance(at(3'600'000), kHour);
  EXPECT_FALSE(counted.knows("a"));
  EXPECT_TRUE(counted.knows("b"));
  counted.window = {};
  EXPECT_FALSE(counted.knows("b"));
  counted.recipients.add(counted.window, hash_of("c"), at(4'000'000), kHour);
  EXPECT_EQ(counted.recipients.size(), 1u);
  EXPECT_FALSE(counted.knows("b"));
}

TEST(DistinctRecipientsTest, CannotBeReadFromADamagedState) {
  Counted counted;
  for (const char* name : {"a", "b", "c"}) counted.passes(name, at(0), kHour, 3);
  const std::string state = counted.state();
  ASSERT_TRUE(Counted::read(state));
  EXPECT_TRUE(Counted::read(state)->knows("b"));
  for (std::size_t size = 0; size < state.size(); ++size) {
    EXPECT_FALSE(Counted::read(std::string_view{state}.substr(0, size))) << size;
  }
  EXPECT_FALSE(Counted::read(state + 'x'));
  EXPECT_FALSE(Counted::read(std::string{"\2\0", 2} + state.substr(26)));
  std::string too_many{"\2"};
  too_many += "\xE9\x07";  // 1001
  too_many += std::string(1001 * 8, 'x') + state.substr(26);
  EXPECT_FALSE(Counted::read(too_many));
  too_many[1] = '\xE8';  // the last one would be part of the window
  EXPECT_FALSE(Counted::read(too_many));
}

// What an earlier version, which knows no recipients, makes of it: it goes by the columns.
TEST(DistinctRecipientsTest, AreNoStateOfAWindowAlone) {
  Counted counted;
  EXPECT_TRUE(counted.passes("a", at(0), kHour, 3));
  const std::string state = counted.state();
  EXPECT_FALSE(Window::parse(state, 1, 2.5));
  EXPECT_EQ(Window::parse(DistinctRecipients::window_state(state), 1, 2.5), counted.window);
  counted.recipients.clear();
  EXPECT_TRUE(Window::parse(counted.state(), 1, 2.5));
  EXPECT_EQ(DistinctRecipients::window_state(counted.state()), counted.state());
}

TEST(DistinctRecipientsTest, AreCopied) {
  Counted counted;
  EXPECT_TRUE(counted.passes("a", at(0), kHour, 3));
  const Counted copy = counted;
  EXPECT_TRUE(counted.passes("b", at(0), kHour, 3));
  EXPECT_TRUE(copy.knows("a"));
  EXPECT_EQ(copy.recipients.size(), 1u);
  counted = copy;
  EXPECT_EQ(counted.recipients.size(), 1u);
}

// Random mail against a model that remembers each recipient's last use: no stretch of a period has
// more than the limit, and none is refused that would pass if each were held a sixtieth longer.
TEST(DistinctRecipientsTest, AgreeWithAPlainModel) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random{seed};
    const auto below = [&](std::int64_t most) {
      return std::uniform_int_distribution<std::int64_t>{0, most}(random);
    };
    const std::int64_t period = 60 + below(100'000);
    const auto limit = static_cast<std::uint64_t>(1 + below(30));
    const std::int64_t names = 1 + below(60);
    const std::int64_t gap = 1 + below(period / 10 + 1);
    std::map<std::string, std::int64_t> last;
    const auto used_since = [&](std::int64_t since, const std::string& but) {
      return static_cast<std::uint64_t>(std::count_if(last.begin(), last.end(), [&](auto& each) {
        return each.second > since && each.first != but;
      }));
    };
    Counted counted;
    std::int64_t now = 0;
    for (int i = 0; i < 500; ++i) {
      now += below(20) == 0 ? below(2 * period) : below(gap);
      const std::string name = std::to_string(below(names));
      const bool known = last.contains(name) && last[name] > now - period;
      if (counted.passes(name, at(now), Millis{period}, limit)) {
        last[name] = now;
        ASSERT_LE(used_since(now - period, ""), limit) << "seed " << seed << ", mail " << i;
      } else {
        ASSERT_FALSE(known) << "seed " << seed << ", mail " << i;
        ASSERT_GE(used_since(now - period - period / 60 - 1, name), limit)
            << "seed " << seed << ", mail " << i;
      }
      ASSERT_LE(counted.recipients.size(), limit);
      if (below(9) == 0) {
        auto again = Counted::read(counted.state());
        ASSERT_TRUE(again);
        ASSERT_EQ(again->window, counted.window);
        counted = std::move(*again);
      }
    }
  }
}

}  // namespace
}  // namespace policyd
