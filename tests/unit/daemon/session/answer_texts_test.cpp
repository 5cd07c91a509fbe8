// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/session/answer_texts.hpp"
#include "daemon/protocol/policy_protocol.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

TEST(AnswerTexts, KeepsEachTextOnce) {
  AnswerTexts texts;
  const RememberedAnswer first = texts.remember({Action::reject, "too many"});
  const RememberedAnswer again = texts.remember({Action::defer, "too many"});
  EXPECT_EQ(first.text, again.text);
  EXPECT_EQ(first.verdict().text, "too many");
  EXPECT_EQ(again.verdict().action, Action::defer);
  EXPECT_EQ(texts.remember({Action::ok, {}}).text, nullptr);
  EXPECT_EQ(texts.size(), 1U);
}

TEST(AnswerTexts, RemembersNoMoreThanCanBeAnswered) {
  AnswerTexts texts;
  const std::string longest(kMaxAnswerText, 'x');
  EXPECT_EQ(*texts.remember({Action::reject, longest}).text, longest);
  EXPECT_EQ(*texts.remember({Action::reject, longest + "y"}).text, longest);
}

TEST(AnswerTexts, DropsTextsThatNoMessageHas) {
  AnswerTexts texts;
  const RememberedAnswer kept = texts.remember({Action::reject, "kept"});
  std::vector<RememberedAnswer> many;
  for (int i = 0; i < 10'000; ++i) {
    texts.remember({Action::reject, std::to_string(i)});
    EXPECT_LE(texts.size(), 64U);
  }
  for (int i = 0; i < 1'000; ++i) {
    many.push_back(texts.remember({Action::reject, std::to_string(i)}));
  }
  EXPECT_GE(texts.size(), 1'001U);
  EXPECT_EQ(texts.remember({Action::reject, "kept"}).text, kept.text);
}

}  // namespace
}  // namespace policyd
