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
    {"NoDomain", "alice@", false, "alice@", ""},
    {"NoAtSign", "alice", false, "alice", ""},
    {"NoText", "", false, "", ""},
    {"OnlyAtSign", "@", false, "@", ""},
    {"WhiteSpace", "a b@example.org", false, "a b", "example.org"},
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

}  // namespace
}  // namespace policyd
