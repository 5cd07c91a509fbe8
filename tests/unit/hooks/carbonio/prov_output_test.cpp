// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/prov_output.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carbonio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(SplitAnswers, CutsAtPromptsWithOrWithoutALastOne) {
  struct Case {
    const char* name;
    const char* text;
  };
  for (const Case& each : {Case{"last prompt", "prov> a\nb\nprov> prov> c\nprov> "},
                           Case{"and a line end", "prov> a\nb\nprov> prov> c\nprov> \n"},
                           Case{"none", "prov> a\nb\nprov> prov> c\n"},
                           Case{"noise in front", "WARN x\nprov> a\nb\nprov> prov> c\n"},
                           Case{"returns", "prov> a\r\nb\r\nprov> prov> c\r\n"}}) {
    SCOPED_TRACE(each.name);
    const auto answers = split_answers(each.text, 3);
    ASSERT_TRUE(answers) << answers.error().message;
    EXPECT_THAT(*answers, ElementsAre("a\nb\n", "", "c\n"));
  }
}

TEST(SplitAnswers, TooFewOrTooManyAreAnError) {
  EXPECT_THAT(split_answers("prov> a\n", 2).error().message, HasSubstr("1 of 2 commands"));
  EXPECT_THAT(split_answers("", 1).error().message, HasSubstr("0 of 1 commands"));
  EXPECT_FALSE(split_answers("\x01\xff garbage\n", 1));
  EXPECT_FALSE(split_answers("prov> a\nprov> b\n", 1));
  EXPECT_FALSE(split_answers("prov> prov> prov> prov> ", 1));
}

TEST(Errors, CodeAndMessageWithoutTheCause) {
  const auto errors = errors_in(
      "WARN something\nERROR: account.NO_SUCH_SERVER (no such server: x)\n"
      "ERROR: service.FAILURE (system failure: (a)) (cause: java.net.ConnectException refused)\n"
      "ERROR: bare\n");
  EXPECT_THAT(errors, ElementsAre(ProvError{"account.NO_SUCH_SERVER", "no such server: x"},
                                  ProvError{"service.FAILURE", "system failure: (a)"},
                                  ProvError{"", "bare"}));
  EXPECT_EQ(errors[0].to_string(), "account.NO_SUCH_SERVER (no such server: x)");
  EXPECT_EQ(errors[2].to_string(), "bare");
  EXPECT_THAT((ProvError{"a", std::string(5000, 'x') + "\n"}).to_string().size(), testing::Lt(400));
}

TEST(Errors, TheReasonIsTheFirstThatSaysSomething) {
  EXPECT_EQ(reason_in("[main] INFO x\n\nPlease run as zextras user\nmore\n"),
            "Please run as zextras user");
  EXPECT_EQ(reason_in("text\nERROR: a (b)\n"), "a (b)");
  EXPECT_EQ(reason_in("prov> \x1b[2J\n"), "\\x1b[2J");
  EXPECT_EQ(reason_in("WARN a\n\n"), "");
}

TEST(Names, AsTheyComeWithoutWarnings) {
  EXPECT_THAT(names_in("WARN: slow\na.example\n[main] WARN x\n\nb.example\r\n\tat java.X\n"
                       "x'); DROP TABLE policies;--\n"),
              ElementsAre("a.example", "b.example", "x'); DROP TABLE policies;--"));
  EXPECT_THAT(names_in(""), IsEmpty());
}

TEST(Attributes, OneLineEachValue) {
  const auto all = attributes_in(
      "zimbraServiceEnabled: mta\nzimbraServiceEnabled: cbpolicyd\n"
      "no attribute\nodd name: x\nzimbraX: a: b\nzimbraEmpty: \n");
  EXPECT_THAT(all.values("ZIMBRAserviceEnabled"), ElementsAre("mta", "cbpolicyd"));
  EXPECT_TRUE(all.has("zimbraServiceEnabled", "cbpolicyd"));
  EXPECT_FALSE(all.has("zimbraServiceEnabled", "cb"));
  EXPECT_EQ(all.value("zimbraX"), "a: b");
  EXPECT_EQ(all.value("zimbraEmpty"), "");
  EXPECT_EQ(all.value("zimbraNone"), std::nullopt);
}

TEST(Server, IsThereOnlyWithItsName) {
  const auto server = server_in("WARN x\n# name mail.example.com\nzimbraX: 1\n\n");
  ASSERT_TRUE(server);
  EXPECT_EQ(server->name, "mail.example.com");
  EXPECT_EQ(server->attributes.value("zimbraX"), "1");
  EXPECT_FALSE(server_in(""));
  EXPECT_FALSE(server_in("zimbraX: 1\n"));
}

}  // namespace
}  // namespace carbonio
