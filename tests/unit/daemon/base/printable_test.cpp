// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/printable.hpp"

#include <gtest/gtest.h>

#include <string>

namespace policyd {
namespace {

std::string printable(std::string_view text, std::size_t most = 1000) {
  std::string out;
  append_printable(out, text, most);
  return out;
}

struct TextCase {
  const char* name;
  std::string_view text;
  const char* printed;
};

TEST(LogText, EscapesWhatCouldForgeALineOrDriveATerminal) {
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
           TextCase{"Latin 1", "gr\xfc\xdf", R"(gr\xfc\xdf)"},
           TextCase{"cut short", "\xe2\x82", R"(\xe2\x82)"},
           TextCase{"continuation alone", "\x80z", R"(\x80z)"},
           TextCase{"overlong", "\xc0\xaf\xe0\x80\xaf", R"(\xc0\xaf\xe0\x80\xaf)"},
           TextCase{"surrogate", "\xed\xa0\x80", R"(\xed\xa0\x80)"},
           TextCase{"beyond Unicode", "\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
           TextCase{"never valid", "\xff\xfe", R"(\xff\xfe)"},
       }) {
    EXPECT_EQ(printable(c.text), c.printed) << c.name;
  }
}

TEST(LogText, CutsAtTheBoundAndNeverInACharacter) {
  EXPECT_EQ(printable("abcdef", 0), "");
  EXPECT_EQ(printable("abcdef", 5), "abcde");
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("ab\n", 5), "ab");
  EXPECT_EQ(printable("ab\n", 6), R"(ab\x0a)");
  EXPECT_EQ(printable("ab\xe2\x82\xac", 4), "ab");
  EXPECT_EQ(printable("ab\xe2\x82\xac", 5), "ab\xe2\x82\xac");
}

}  // namespace
}  // namespace policyd
