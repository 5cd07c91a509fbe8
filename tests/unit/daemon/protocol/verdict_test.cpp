// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol/verdict.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace policyd {
namespace {

struct Word {
  const char* text;
  Action action;
};

class VerdictWord : public testing::TestWithParam<Word> {};

TEST_P(VerdictWord, IsReadInAnyCaseAndNamedInLowerCase) {
  const auto& [text, action] = GetParam();
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return static_cast<char>(std::toupper(c)); });
  std::string mixed = text;
  mixed[0] = upper[0];
  EXPECT_EQ(parse_action(text), action);
  EXPECT_EQ(parse_action(upper), action);
  EXPECT_EQ(parse_action(mixed), action);
  EXPECT_EQ(name_of(action), text);
}

INSTANTIATE_TEST_SUITE_P(Verdict, VerdictWord,
                         testing::Values(Word{"dunno", Action::dunno}, Word{"ok", Action::ok},
                                         Word{"pass", Action::pass}, Word{"reject", Action::reject},
                                         Word{"defer", Action::defer}, Word{"hold", Action::hold},
                                         Word{"discard", Action::discard},
                                         Word{"filter", Action::filter},
                                         Word{"redirect", Action::redirect},
                                         Word{"prepend", Action::prepend}),
                         [](const auto& row) { return std::string(row.param.text); });

TEST(Verdict, RejectsOtherWords) {
  for (const char* text : {"", " ", "REJECT ", " reject", "rej", "rejects",
                           "re\xEC"
                           "ect",
                           "550"}) {
    EXPECT_EQ(parse_action(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_action(std::string("ok\0", 3)), std::nullopt);
}

TEST(Verdict, RefusesOnRejectAndDefer) {
  for (int i = 0; i <= static_cast<int>(Action::prepend); ++i) {
    const auto action = static_cast<Action>(i);
    const bool refused = action == Action::reject || action == Action::defer;
    EXPECT_EQ((Verdict{action, ""}.refuses()), refused) << name_of(action);
  }
}

}  // namespace
}  // namespace policyd
