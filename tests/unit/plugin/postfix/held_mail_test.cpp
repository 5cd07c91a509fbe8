// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/held_mail.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

// As Postfix 3.7 prints it.
constexpr const char* kLine =
    R"({"queue_name": "deferred", "queue_id": "4bX9Qz1Yk0z3", "arrival_time": 1764126000, )"
    R"("message_size": 400, "forced_expire": false, "sender": "Anna@Example.org", )"
    R"("recipients": [{"address": "bob@example.com", "delay_reason": "later"}]})";

TEST(HeldMail, ReadsALineOfPostqueue) {
  const auto mail = parse_queued(kLine);
  ASSERT_TRUE(mail);
  EXPECT_EQ(mail->queue_id, "4bX9Qz1Yk0z3");
  EXPECT_EQ(mail->sender, "anna@example.org");
  EXPECT_FALSE(mail->held);
  EXPECT_TRUE(parse_queued(R"({"queue_name":"hold","queue_id":"A1","sender":"x@y.z"})")->held);
  EXPECT_EQ(parse_queued(R"({"queue_id":"A1","sender":"MAILER-DAEMON"})")->sender, "");
  EXPECT_EQ(parse_queued(R"({"queue_id":"A1"})")->sender, "");
}

TEST(HeldMail, TakesNoOtherLine) {
  for (const char* line :
       {"", "x", "[]", "{", R"({"queue_id":"","sender":"a@b.c"})", R"({"sender":"a@b.c"})",
        R"({"queue_id":1})", R"({"queue_id":"-d ALL"})", R"({"queue_id":"A\nALL"})",
        R"({"queue_id":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})"}) {
    EXPECT_FALSE(parse_queued(line)) << line;
  }
}

}  // namespace
}  // namespace limits
