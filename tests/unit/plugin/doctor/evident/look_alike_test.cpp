// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/look_alike.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

TEST(LookAlike, IsALetterOfAnotherAlphabetInALatinWord) {
  struct Case {
    const char* text;
    const char* plain;  // null: no look-alike
  };
  for (const Case& each : {
           Case{"Carbonio CBPolicyD", nullptr},
           Case{"\u0421arbonio CBPolicyD", "Carbonio CBPolicyD"},
           Case{"\u041F\u043E\u0447\u0442\u0430", nullptr},               // Почта
           Case{"\u041E\u0442\u0434\u0435\u043B sales", nullptr},         // Отдел sales
           Case{"\u0430\u0434\u043C\u0438\u043D\u044B-except", nullptr},  // админы-except
           Case{"s\u0430les", "sales"}, Case{"sales\u200B", "sales"},
           Case{"my\u00A0sales", "my sales"},
           Case{"\u041E\u0442\u0434\u0435\u043B\u00A0\u043F\u0440", nullptr},  // no Latin letter
           Case{"Mu\u0308ller", nullptr}, Case{"s\u0416les", ""},              // without a twin
       }) {
    const auto found = look_alike(each.text);
    EXPECT_EQ(found.has_value(), each.plain != nullptr) << each.text;
    if (found && each.plain != nullptr) {
      EXPECT_EQ(found->plain, each.plain) << each.text;
    }
  }
}

}  // namespace
}  // namespace limits
