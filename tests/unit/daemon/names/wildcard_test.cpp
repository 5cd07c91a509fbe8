// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/wildcard.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

struct PatternCase {
  std::string name;
  std::string pattern;
  std::string text;
  bool expected;
};
const std::vector<PatternCase> kWildcards = {
    {"Exact", "abc", "abc", true},
    {"OtherCharactersAreThemselves", "a.c+[d]$", "a.c+[d]$", true},
    {"DotIsADot", "a.c", "abc", false},
    {"StarIsNothing", "a*bc", "abc", true},
    {"StarIsMuch", "a*c", "abbbbc", true},
    {"StarAtBothEnds", "*b*", "abc", true},
    {"GoesBack", "*ab*abc", "abxabababc", true},
    {"TooShort", "a*a", "a", false},
    {"TailDiffers", "*b", "ba", false},
    {"OnlyStarsNoText", "***", "", true},
    {"NoPatternNoText", "", "", true},
    {"NoPattern", "", "a", false},
    {"StarTakesBlanks", "a*c", "a c", true},
    {"LastStarTakesBlanks", "a*", "a b\t", true},
    {"BlankItself", "*a *b", "xa yb", true},
    {"NoBlankWhereTheLetterIs", "*x *x", "xx", false},
};
const std::vector<PatternCase> kHosts = {
    {"Exact", "mx1.corp.test", "mx1.corp.test", true},
    {"StarTakesDots", "dsl-*.isp.test", "dsl-1.pool.isp.test", true},
    {"StarTakesNoOther", "dsl-*.isp.test", "dsl-@.isp.test", false},
    {"DotInFrontIsTheEnd", ".corp.test", "a.b.corp.test", true},
    {"DotInFrontNeedsTheDot", ".corp.test", "corp.test", false},
    {"DotInFrontAfterAnything", ".corp.test", "(?) .corp.test", true},
    {"DotInFrontWithStar", ".a*.test", "x@.a1.b.test", true},
    {"DotInFrontWithStarOverAnything", ".a*.test", ".a@.test", false},
    {"DotInFrontWithStarFoundLater", ".a*b", ".a@.ab", true},
};
class Wildcard : public testing::TestWithParam<PatternCase> {};
TEST_P(Wildcard, Matches) {
  EXPECT_EQ(wildcard_match(GetParam().pattern, GetParam().text), GetParam().expected);
}
class HostPattern : public testing::TestWithParam<PatternCase> {};
TEST_P(HostPattern, Matches) {
  EXPECT_EQ(host_match(GetParam().pattern, GetParam().text), GetParam().expected);
}
const auto kPatternName = [](const testing::TestParamInfo<PatternCase>& row) {
  return row.param.name;
};
INSTANTIATE_TEST_SUITE_P(Patterns, Wildcard, testing::ValuesIn(kWildcards), kPatternName);
INSTANTIATE_TEST_SUITE_P(Patterns, HostPattern, testing::ValuesIn(kHosts), kPatternName);

TEST(Wildcard, ManyStarsTakeLittleTime) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_FALSE(wildcard_match(pattern + "b*", std::string(10'000, 'a')));
  EXPECT_TRUE(wildcard_match(pattern, std::string(10'000, 'a')));
}

}  // namespace
}  // namespace policyd
