// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/shell_words.hpp"

#include <gtest/gtest.h>

#include <array>

namespace policyd {
namespace {

TEST(ShellWords, QuotesOnlyWhatAShellWouldChange) {
  struct Case {
    const char* word;
    const char* quoted;
  };
  for (const Case& c :
       {Case{"plain", "plain"}, Case{"a@b.example", "a@b.example"},
        Case{"100/1h,--x=%g", "100/1h,--x=%g"}, Case{"", "''"}, Case{"two words", "'two words'"},
        Case{"$HOME", "'$HOME'"}, Case{"*", "'*'"}, Case{"~", "'~'"}, Case{"a;b", "'a;b'"},
        Case{"[0-9]", "'[0-9]'"}, Case{"#x", "'#x'"}, Case{"say \"hi\"", "'say \"hi\"'"},
        Case{"it's", "\"it's\""}, Case{"it's $5", "'it'\\''s $5'"}, Case{"it's !", "'it'\\''s !'"},
        Case{"'\\", "''\\''\\'"}}) {
    EXPECT_EQ(shell_word(c.word), c.quoted) << c.word;
  }
}

TEST(ShellWords, JoinsWordsWithSpaces) {
  const std::array<std::string, 3> words = {"prov", "mcf", "a b"};
  EXPECT_EQ(shell_words(words), "prov mcf 'a b'");
}

}  // namespace
}  // namespace policyd
