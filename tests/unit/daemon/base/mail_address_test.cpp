// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/mail_address.hpp"
#include "daemon/base/ascii.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

TEST(LowerCase, ChangesAsciiOnly) {
  std::string text = "A@[Z`{\xc3\x84";
  lower_case(text);
  EXPECT_EQ(text, "a@[z`{\xc3\x84");
}

struct MailCase {
  std::string name;
  std::string text;
  bool valid;
  std::string local_part;
  std::string domain;
};
const std::vector<MailCase> kMail = {
    {"Usual", "alice@example.org", true, "alice", "example.org"},
    {"TwoAtSigns", "a@b@c", true, "a@b", "c"},
    {"EndsInAtSign", "a@b@", true, "a", "b@"},
    {"NoLocalPart", "@example.org", false, "", "example.org"},
    {"NoDomain", "alice@", true, "alice@", ""},
    {"NoAtSign", "alice", true, "alice", ""},
    {"NoText", "", false, "", ""},
    {"OnlyAtSign", "@", false, "@", ""},
    {"OnlyAtSigns", "@@", false, "", "@"},
    {"Blank", "a b@example.org", true, "a b", "example.org"},
    {"BlankWithoutDomain", "a b", true, "a b", ""},
    {"BlankInTheDomain", "a@example .org", false, "a", "example .org"},
    {"BlankAfterTheDomain", "a@example.org ", false, "a", "example.org "},
    {"LineBreakInside", "a@exam\nple.org", false, "a", "exam\nple.org"},
};
class MailAddress : public testing::TestWithParam<MailCase> {};
TEST_P(MailAddress, IsSplit) {
  const auto& row = GetParam();
  EXPECT_EQ(is_mail_address(row.text), row.valid);
  EXPECT_EQ(local_part_of(row.text), row.local_part);
  EXPECT_EQ(domain_of(row.text), row.domain);
}
INSTANTIATE_TEST_SUITE_P(Mail, MailAddress, testing::ValuesIn(kMail),
                         [](const testing::TestParamInfo<MailCase>& row) {
                           return row.param.name;
                         });

TEST(MailAddress, TakesNoticesIfItCanBeNothingElse) {
  for (const char* text : {"a@example.org", "a.b+c=d@mail.example.org", "root@localhost",
                           "a#b@example.org", "a.b.c@mta1"}) {
    EXPECT_TRUE(is_notice_address(text)) << text;
  }
  for (const std::string& text : {std::string{},
                                  std::string{"a"},
                                  std::string{"@"},
                                  std::string{"@b"},
                                  std::string{"a@"},
                                  std::string{"-oQ/tmp@b"},
                                  std::string{"a b@c"},
                                  std::string{"a@b c"},
                                  std::string{"a,b@c"},
                                  std::string{"a@b\nBcc: x@y"},
                                  std::string{"a\n@b"},
                                  std::string{"a@b@c"},
                                  std::string{"<a@b>"},
                                  std::string{"\"a\"@b"},
                                  std::string{"a:b@c"},
                                  std::string{"a;@b"},
                                  std::string{"\xC3\xA4@b"},
                                  std::string{"a@b..c"},
                                  std::string(65, 'a') + "@b",
                                  std::string{"#a@b.c"},
                                  std::string{";a@b.c"},
                                  std::string{".a@b.c"},
                                  std::string{"a.@b.c"},
                                  std::string{"a..b@b.c"},
                                  std::string{"*@b.c"},
                                  std::string{"a*@b.c"},
                                  std::string{"a@*.c"},
                                  std::string{"a@.b.c"},
                                  std::string{"a@b.c."}}) {
    EXPECT_FALSE(is_notice_address(text)) << text;
  }
}

TEST(MailAddress, LosesTheBlanksAroundALogin) {
  for (const char* text : {"anna", " anna", "anna\t", "  anna\r "}) {
    EXPECT_EQ(without_outer_blanks(text), "anna");
  }
  EXPECT_EQ(without_outer_blanks(" max m "), "max m");
  EXPECT_EQ(without_outer_blanks(" \t"), "");
}

}  // namespace
}  // namespace policyd
