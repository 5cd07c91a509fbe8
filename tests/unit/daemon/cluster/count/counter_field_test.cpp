// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/counter_field.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace policyd {
namespace {

constexpr Millis kHour = std::chrono::hours{1};

TimePoint at(std::int64_t ms) { return TimePoint{Millis{1'800'000'000'000 + ms}}; }

std::string field_of(const Window& window) {
  std::string field;
  put_double(field, static_cast<double>(window.use()));
  append_field_pairs(field, window);
  return field;
}

std::string doubles(const std::vector<double>& numbers) {
  std::string bytes;
  for (const double number : numbers) put_double(bytes, number);
  return bytes;
}

TEST(CounterField, ReadsWhatItWrote) {
  Window window;
  EXPECT_EQ(field_of(window), std::string(8, '\0'));
  EXPECT_EQ(window_of_field(field_of(window))->use(), 0u);
  for (int i = 0; i < 70; ++i) {
    window.advance(at(i * 61'000), kHour);
    window.add(at(i * 61'000), kHour, 1 + i);
    const auto read = window_of_field(field_of(window));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->use(), window.use());
    EXPECT_EQ(read->free_at(kHour, 10'000, 9'990), window.free_at(kHour, 10'000, 9'990));
    EXPECT_LE(field_of(window).size(), kMaxFieldBytes - kFieldPairBytes);
  }
}

TEST(CounterField, ReadsThePairThatTheScriptAdded) {
  // The engine's clock is a little behind that of the pairs before.
  const auto read = window_of_field(doubles({5, 2000, 3, 1990, 2}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->use(), 5u);
  EXPECT_EQ(read->free_at(Millis{1000}, 5, 1), TimePoint{Millis{2990}});

  std::vector<double> many{63};
  for (int i = 0; i < 63; ++i) many.insert(many.end(), {1000.0 + i, 1});
  ASSERT_EQ(doubles(many).size(), kMaxFieldBytes);
  EXPECT_EQ(window_of_field(doubles(many))->use(), 63u);
}

TEST(CounterField, RejectsWhatIsNone) {
  const double most = 9'007'199'254'740'992;  // 2^53
  const std::vector<std::pair<const char*, std::string>> rows = {
      {"empty", ""},
      {"half a sum", std::string(4, '\0')},
      {"half a pair", doubles({1, 1000})},
      {"a byte too many", doubles({1, 1000, 1}) + "x"},
      {"another sum", doubles({2, 1000, 1})},
      {"a sum without pairs", doubles({1})},
      {"negative units", doubles({-1, 1000, -1})},
      {"a fraction", doubles({0.5, 1000, 0.5})},
      {"a time with a fraction", doubles({1, 1000.5, 1})},
      {"a negative time", doubles({1, -1, 1})},
      {"a time beyond all", doubles({1, most * 2, 1})},
      {"units beyond all", doubles({most * 2, 1000, most * 2})},
      {"no number", doubles({1, std::numeric_limits<double>::quiet_NaN(), 1})},
      {"infinite", doubles({1, 1000, std::numeric_limits<double>::infinity()})},
      {"too many pairs", std::string(kMaxFieldBytes + kFieldPairBytes, '\0')},
  };
  for (const auto& [name, field] : rows) EXPECT_FALSE(window_of_field(field)) << name;
  EXPECT_TRUE(window_of_field(doubles({most, most, most})));
}

}  // namespace
}  // namespace policyd
