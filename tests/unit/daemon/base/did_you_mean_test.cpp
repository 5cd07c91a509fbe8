// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/did_you_mean.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace policyd {
namespace {

struct Typed {
  const char* name;
  std::string word;
  std::optional<std::string_view> meant;
};

class Nearest : public testing::TestWithParam<Typed> {};

TEST_P(Nearest, FindsTheIntendedWord) {
  static constexpr std::array<std::string_view, 5> kKnown = {"port", "proto", "user", "log_level",
                                                             "min_spare_servers"};
  EXPECT_EQ(nearest(GetParam().word, kKnown), GetParam().meant);
}

INSTANTIATE_TEST_SUITE_P(
    Nearest, Nearest,
    testing::Values(Typed{"Same", "port", "port"}, Typed{"Case", "PORT", "port"},
                    Typed{"Missing", "prt", "port"}, Typed{"Added", "ports", "port"},
                    Typed{"Replaced", "pork", "port"}, Typed{"Swapped", "usre", "user"},
                    Typed{"FirstOfEquals", "prot", "port"}, Typed{"Two", "log_lvl", "log_level"},
                    Typed{"ThreeInAShortWord", "log_lv", std::nullopt},
                    Typed{"FiveInALongWord", "mn_spr_srvers_xxx", std::nullopt},
                    Typed{"AThirdOfALongWord", "mn_spr_servrs", "min_spare_servers"},
                    Typed{"AllWrong", "xy", std::nullopt}, Typed{"Empty", "", std::nullopt},
                    Typed{"TooLong", std::string(65, 'p'), std::nullopt},
                    Typed{"VeryLong", std::string(1'000'000, 'p'), std::nullopt}),
    [](const auto& row) { return row.param.name; });

TEST(NearestWords, CanBeEmpty) { EXPECT_EQ(nearest("port", {}), std::nullopt); }

TEST(NearestWords, SkipTooLongWords) {
  const std::string text(65, 'p');
  const std::array<std::string_view, 1> known = {text};
  EXPECT_EQ(nearest(text.substr(1), known), std::nullopt);
}

}  // namespace
}  // namespace policyd
