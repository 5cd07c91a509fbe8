// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/shell_words.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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

// What `shell` prints for the word when a script on its standard input has it.
std::string typed(const std::string& shell, const std::string& word) {
  const std::string script = ::testing::TempDir() + "shell_words_test.sh";
  std::ofstream{script} << (shell == "bash" ? "set -o history -o histexpand\n:\n" : "")
                        << "printf '%s|' " << shell_word(word) << " end\n";
  std::string out;
  FILE* pipe = ::popen((shell + " <" + script + " 2>&1").c_str(), "r");
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  ::pclose(pipe);
  return out;
}

TEST(ShellWords, StayTheSameWhenTyped) {
  for (const char* word :
       {"$*",  "$name", "${HOME}", "$(id)",    "`id`",        "it's $*", "it's `id`", "it's !x",
        "!!",  "!:0",   "a!b",     "\"$*\"",   "\"it's\" $-", "\\",      "\\$x",      "it's \\",
        "*",   "?",     "[a]",     "~",        "~root",       "a~",      "{a,b}",     "#a",
        "a b", " a ",   "",        "a;b",      "a|b",         "a&b",     "a>b",       "<a>",
        "(a)", "=x",    "a=b",     "%x",       "^a^b",        "'",       "''",        "'$*'",
        "\t",  "a\nb",  "-n",      "\xC3\xA4", "\xFF"}) {
    for (const char* shell : {"sh", "bash"}) {
      EXPECT_EQ(typed(shell, word), std::string{word} + "|end|") << shell;
    }
  }
}

TEST(ShellWords, SplitsAsAShellDoes) {
  using Words = std::vector<std::string>;
  const std::vector<std::pair<std::string, Words>> cases = {
      {"", {}},
      {"  ", {}},
      {"/x/prog a \"b c\"", {"/x/prog", "a", "b c"}},
      {" a\t'b  c' ", {"a", "b  c"}},
      {"'' x", {"", "x"}},
      {"a\\ b", {"a b"}},
      {"'a\\b' \"a\\\"b\"", {"a\\b", "a\"b"}},
      {"it\"'\"s", {"it's"}},
      {"$HOME `id` ;", {"$HOME", "`id`", ";"}},
      {"a #b", {"a", "#b"}},
  };
  for (const auto& [line, words] : cases) {
    EXPECT_EQ(split_shell_words(line, HashMark::text), words) << line;
    EXPECT_EQ(split_shell_words(shell_words(words), HashMark::text), words) << line;
  }
  EXPECT_EQ(split_shell_words("a #b 'c", HashMark::comment), Words{"a"});
  for (const char* line : {"'", "a \"b", "a 'b\"", "\"a\\\""}) {
    EXPECT_EQ(split_shell_words(line, HashMark::text), std::nullopt) << line;
  }
}

TEST(ShellWords, JoinsWordsWithSpaces) {
  const std::array<std::string, 3> words = {"prov", "mcf", "a b"};
  EXPECT_EQ(shell_words(words), "prov mcf 'a b'");
}

}  // namespace
}  // namespace policyd
