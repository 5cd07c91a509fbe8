// SPDX-License-Identifier: AGPL-3.0-only
// Limits as lines of a text: what is written is read back as the same.
#include "plugin/limit_text/limit_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "daemon/base/shell_words.hpp"
#include "plugin/limit_text/limit_file.hpp"

namespace limits {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LimitLine, WordsAreReadLikeInAShell) {
  EXPECT_THAT(*words_of("send  100/h\t--name 'a b' # rest"),
              ElementsAre("send", "100/h", "--name", "a b"));
  EXPECT_THAT(*words_of(R"(a'b'"c\"\\"d\ e '' x#y)"), ElementsAre("abc\"\\d e", "", "x#y"));
  EXPECT_THAT(*words_of("  # nothing"), IsEmpty());
  EXPECT_THAT(*words_of("a\r"), ElementsAre("a"));
  EXPECT_FALSE(words_of("'open"));
  EXPECT_FALSE(words_of("a \"open"));
}

TEST(LimitLine, QuotedWordsAreReadBack) {
  std::mt19937 random{7};  // NOLINT: the same words each time
  const std::string letters = "ab'\"\\ #-$`;{}@%\xc3\xa4";
  for (int i = 0; i < 5000; ++i) {
    std::string word;
    for (auto n = random() % 8; n > 0; --n) word += letters[random() % letters.size()];
    EXPECT_THAT(*words_of("x " + policyd::shell_word(word) + " y"), ElementsAre("x", word, "y"))
        << word;
  }
}

TEST(LimitLine, WrittenLinesAreReadBack) {
  for (const char* line :
       {"send 100/h --everyone", "send 20/min,50M/day --anyone --per client --verdict none",
        "receive 1/s --domain a.org --per user --verdict hold --message '' --off",
        "send 5/week --user \"o'brien@a.org\" --except b.org x@y.z %staff --name 'it'\\''s'",
        "send 5/h --group sales --per everyone --message '{used} of {limit}'",
        "send 5/h --domain a.org --anyone --except x@a.org", "receive 5/h --client 2001:db8::/32",
        "send 5/h --client 192.0.2.1", "send 1/day --login carl@a.org --verdict reject",
        "send 5/h --login \"o'brien\" --per user", "send 5/h --login '$$carl'",
        "send 5/h --user a@b.c --from 10.0.0.0/8 192.0.2.1",
        "send 5/h --anyone --from 10.0.0.0/8 192.0.2.1 --per login",
        "receive 5/h --domain a.org --from 2001:db8::/32", "send 5KiB/day --everyone"}) {
    const auto read = parse_limit_file(line);
    ASSERT_TRUE(read) << line << ": " << read.error().message;
    ASSERT_EQ(read->limits.size(), 1U);
    const std::string written = line_of(read->limits.front().wanted);
    const auto again = parse_limit_file(written);
    ASSERT_TRUE(again) << written;
    EXPECT_EQ(line_of(again->limits.front().wanted), written);
  }
}

TEST(LimitFile, ErrorsNameTheLine) {
  const auto why = [](const char* text) {
    const auto read = parse_limit_file(text);
    return read ? std::string{} : read.error().message;
  };
  EXPECT_THAT(why("# x\n\nsend 1/h\nsend 2/h --everyone\n"), HasSubstr("line 4: the same limit"));
  EXPECT_THAT(why("send 1/h\nreceive 1/h\nsend ten/h --anyone"),
              HasSubstr("line 3: not a valid limit: 'ten/h'"));
  EXPECT_THAT(why("list\nsend 1/h\nsend 'x\n"),
              AllOf(HasSubstr("line 1: 'list'"), HasSubstr("; line 3 is also wrong")));
  EXPECT_THAT(why("list\nsend 1/h\nlist\nsend 1/h"), HasSubstr("; lines 3 and 4 are also wrong"));
  std::string many;
  for (int i = 0; i < 12; ++i) many += "list\n";
  EXPECT_THAT(why(many.c_str()), HasSubstr("; 11 more lines are wrong"));
  EXPECT_THAT(why("usage"), HasSubstr("line 1: 'usage' is neither"));
  EXPECT_THAT(why("send 1/h --database x"), HasSubstr("line 1"));
  EXPECT_THAT(why("send 1/h --from 10.0.0.0/8 --client 192.0.2.1"), HasSubstr("both say where"));
  EXPECT_THAT(why("send 1/h --user a@b.c --anyone --from 10.0.0.0/8"), HasSubstr("give one of"));
  EXPECT_THAT(why("send 1/h --user a@b.c --from 0.0.0.0/0"), HasSubstr("is no condition"));
  EXPECT_THAT(why("send 1/h --user a@b.c --from mail.a.org"), HasSubstr("not a valid network"));
  EXPECT_THAT(why("send 1/h --login carl --anyone"), HasSubstr("cannot be combined"));
  EXPECT_THAT(why("receive 1/h --login carl"), HasSubstr("unknown option '--login'"));
  EXPECT_THAT(why("receive 1/h --except '$carl'"), HasSubstr("exempt from limits of 'send'"));
  EXPECT_THAT(why("receive 1/h --per login"), HasSubstr("only be used with 'send'"));
  EXPECT_EQ(why("send 1/h\nsend 5M/h\n"), "");  // side by side
  EXPECT_THAT(why("send 1/h\nsend 5M/h,2/day\n"), HasSubstr("line 2: the same limit"));
  EXPECT_EQ(why("send 1/h\nsend 2/h --verdict none\n"), "");
  std::string hosts = "send 1/h --user a@b.c --from";
  for (int i = 1; i <= 101; ++i) hosts += " 192.0.2." + std::to_string(i);
  EXPECT_THAT(why(hosts.c_str()), HasSubstr("at most 100 networks"));
  EXPECT_EQ(why("carbonio-limits send 1/h\n"), "");
}

TEST(LimitLine, LoginsAreChecked) {
  EXPECT_EQ(parse_login(" $Carl@Own.ORG ")->name, "carl@own.org");
  EXPECT_EQ(parse_login("o'brien+x")->name, "o'brien+x");
  EXPECT_EQ(item_of(*parse_login("carl")), "$carl");
  for (const std::string& bad :
       {std::string{}, std::string{"$"}, std::string{"-"}, std::string{"*"}, std::string{"a b"},
        std::string{"a,b"}, std::string{"a*"}, std::string{"a\n"} + "b", std::string{"\xff"},
        std::string{"@own.org"}, std::string{"$@own.org"}, std::string{"%internal_domains"},
        std::string(256, 'a')}) {
    EXPECT_FALSE(parse_login(bad)) << bad;
  }
  EXPECT_TRUE(parse_login(std::string(255, 'a')));
}

TEST(LimitLine, NetworksHaveOneSpelling) {
  using Strings = std::vector<std::string>;
  const std::map<std::string, Strings> spellings = {
      {"192.0.2.1", {"192.0.2.1", "192.0.2.001", "192.0.2.1/32", "192.0.2.1/032"}},
      {"10.0.0.0/8", {"10.0.0.0/8", "010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/008"}},
      {"2001:db8::1/128", {"2001:db8::1", "2001:0DB8:0::1", "2001:db8:0:0:0:0:0:1/0128"}},
      {"2001:db8::/32", {"2001:db8::/32", "2001:0DB8:0::/0032"}},
      {"::/0", {"::/0", "0::0/00"}},
  };
  for (const auto& [name, texts] : spellings) {
    for (const std::string& text : texts) EXPECT_EQ(parse_client(text)->name, name) << text;
  }
}

}  // namespace
}  // namespace limits
