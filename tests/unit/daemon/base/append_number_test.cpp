// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/append_number.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace policyd {
namespace {

std::string number(double value) {
  std::string out;
  append_number(out, value);
  return out;
}

std::string fixed(double value, int decimals) {
  std::string out = "=";
  append_fixed(out, value, decimals);
  return out;
}

void expect_like_fmt(double value) {
  EXPECT_EQ(number(value), fmt::format("{}", value)) << value;
  EXPECT_EQ(fixed(value, 2), fmt::format("={:.2f}", value)) << value;
  EXPECT_EQ(fixed(value, 1), fmt::format("={:.1f}", value)) << value;
  EXPECT_EQ(fixed(value, 0), fmt::format("={:.0f}", value)) << value;
}

TEST(AppendNumber, PrintsAsFmtDoesWholeOrNot) {
  for (const double value : {0.0, -0.0, 1.0, -1.0, 10.0, 3.87, 2.675, 0.005, 99.95, 1e15, -123456.0,
                             4.5e15, 1e-9, 33.333333333333336}) {
    expect_like_fmt(value);
  }
  for (const double value : {9007199254740991.0, 9007199254740992.0, 1e16, 1e300}) {
    EXPECT_EQ(fixed(value, 2), fmt::format("={:.2f}", value)) << value;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double value : {infinity, -infinity, std::nan("")}) expect_like_fmt(value);
  std::mt19937 random{1};
  for (int i = 0; i < 10'000; ++i) {
    expect_like_fmt(static_cast<double>(random() % 100'000) /
                    static_cast<double>(1 + random() % 64));
  }
}

TEST(AppendNumber, PrintsAllIntegers) {
  for (const std::int64_t value : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                   std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}) {
    std::string out;
    append_number(out, value);
    EXPECT_EQ(out, std::to_string(value));
  }
}

}  // namespace
}  // namespace policyd
