// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/printable.hpp"

#include <gtest/gtest.h>

#include <string>

namespace policyd {
namespace {

std::string appended(std::string_view text, std::size_t max_bytes = 1000) {
  std::string out;
  append_printable(out, text, max_bytes);
  return out;
}

struct TextCase {
  const char* name;
  std::string_view text;
  const char* printed;
};

TEST(Printable, EscapesWhatCouldForgeALineOrDriveATerminal) {
  using namespace std::string_view_literals;
  for (const TextCase& c : {
           TextCase{"plain", "module=Quotas, from=a@b (1.5%) \\ ~",
                    R"(module=Quotas, from=a@b (1.5%) \ ~)"},
           TextCase{"empty", "", ""},
           TextCase{"line ends", "a\r\nb\n", R"(a\x0d\x0ab\x0a)"},
           TextCase{"zero", "a\0b"sv, R"(a\x00b)"},
           TextCase{"tab", "\t", R"(\x09)"},
           TextCase{"terminal", "\x1b[31m", R"(\x1b[31m)"},
           TextCase{"DEL", "\x7f", R"(\x7f)"},
           TextCase{"two bytes", "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
           TextCase{"three bytes", "\xe2\x82\xac", "\xe2\x82\xac"},
           TextCase{"four bytes", "\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7"},
           TextCase{"control character of two bytes", "\xc2\x9b", R"(\xc2\x9b)"},
           TextCase{"no-break space", "\xc2\xa0", "\xc2\xa0"},
           TextCase{"right-to-left mark", "\xe2\x80\x8f", R"(\xe2\x80\x8f)"},
           TextCase{"joiners", "\xe2\x80\x8c\xe2\x80\x8d", "\xe2\x80\x8c\xe2\x80\x8d"},
           TextCase{"line separator", "\xe2\x80\xa8", R"(\xe2\x80\xa8)"},
           TextCase{"override", "a\xe2\x80\xaez", R"(a\xe2\x80\xaez)"},
           TextCase{"after the overrides", "\xe2\x80\xaf", "\xe2\x80\xaf"},
           TextCase{"isolates", "\xe2\x81\xa6\xe2\x81\xa9", R"(\xe2\x81\xa6\xe2\x81\xa9)"},
           TextCase{"around isolates", "\xe2\x81\xa5\xe2\x81\xaa", "\xe2\x81\xa5\xe2\x81\xaa"},
           TextCase{"Arabic letter mark", "\xd8\x9c", R"(\xd8\x9c)"},
           TextCase{"Latin 1", "gr\xfc\xdf", R"(gr\xfc\xdf)"},
           TextCase{"cut short", "\xe2\x82", R"(\xe2\x82)"},
           TextCase{"continuation alone", "\x80z", R"(\x80z)"},
           TextCase{"overlong", "\xc0\xaf\xe0\x80\xaf", R"(\xc0\xaf\xe0\x80\xaf)"},
           TextCase{"surrogate", "\xed\xa0\x80", R"(\xed\xa0\x80)"},
           TextCase{"beyond Unicode", "\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
           TextCase{"never valid", "\xff\xfe", R"(\xff\xfe)"},
       }) {
    EXPECT_EQ(appended(c.text), c.printed) << c.name;
    EXPECT_EQ(printable(c.text), c.printed) << c.name;
    EXPECT_EQ(is_printable(c.text), c.text == c.printed) << c.name;
  }
}

TEST(Printable, CutsAtTheBoundAndNeverInACharacter) {
  EXPECT_EQ(appended("abcdef", 0), "");
  EXPECT_EQ(appended("abcdef", 5), "abcde");
  EXPECT_EQ(appended("abcdef", 6), "abcdef");
  EXPECT_EQ(appended("ab\n", 5), "ab");
  EXPECT_EQ(appended("ab\n", 6), R"(ab\x0a)");
  EXPECT_EQ(appended("ab\xe2\x82\xac", 4), "ab");
  EXPECT_EQ(appended("ab\xe2\x82\xac", 5), "ab\xe2\x82\xac");
}

TEST(Printable, MarksWhatIsCut) {
  EXPECT_EQ(printable("abcdef", 5), "abcde...");
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("ab\n", 5), "ab...");
  EXPECT_EQ(in_quotes("a\nb"), R"('a\x0ab')");
  EXPECT_EQ(in_quotes(std::string(80, 'x')), "'" + std::string(80, 'x') + "'");
  EXPECT_EQ(in_quotes(std::string(81, 'x')), "'" + std::string(80, 'x') + "...'");
}

TEST(Printable, RecognisesUtf8) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("a\n\xc2\x9b\xe2\x80\xae\xf0\x9f\x93\xa7"));
  for (const char* text :
       {"\xff", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace policyd
