// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postfix_asks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limits {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<std::string> kUs = {"inet:localhost:10031", "inet:127.0.0.1:10031"};

TEST(RestrictionWords, AreSeparatedBySpaceAndCommasButNotInBraces) {
  EXPECT_THAT(restriction_words("a, b,c  d\n\te"), ElementsAre("a", "b", "c", "d", "e"));
  EXPECT_THAT(restriction_words("x { inet:h:1, timeout=9s } y"),
              ElementsAre("x", "{ inet:h:1, timeout=9s }", "y"));
  EXPECT_THAT(restriction_words(" ,, "), IsEmpty());
  EXPECT_THAT(restriction_words("}a{ b"), ElementsAre("}a{ b"));
}

TEST(Asking, PermitsBeforeTheQuestionPassUnasked) {
  struct Case {
    const char* name;
    std::vector<std::string> lists;
    bool asks;
    std::vector<std::string> permits;
  };
  const std::vector<Case> cases = {
      {"never", {"permit_mynetworks, reject_unauth_destination", ""}, false, {}},
      {"first", {"check_policy_service inet:localhost:10031, permit_mynetworks"}, true, {}},
      {"other name", {"check_policy_service,inet:127.0.0.1:10031"}, true, {}},
      {"braces", {"check_policy_service { inet:localhost:10031, timeout=9s }"}, true, {}},
      {"behind",
       {"permit_mynetworks permit_sasl_authenticated check_policy_service inet:localhost:10031"},
       true,
       {"permit_mynetworks", "permit_sasl_authenticated"}},
      {"behind in one list, first in another",
       {"permit_mynetworks check_policy_service inet:localhost:10031",
        "reject_x, check_policy_service inet:localhost:10031"},
       true,
       {}},
      {"behind a permit for all", {"permit, check_policy_service inet:localhost:10031"}, false, {}},
      {"behind a reject for all", {"reject, check_policy_service inet:localhost:10031"}, false, {}},
      {"no service named", {"check_policy_service"}, false, {}},
  };
  for (const Case& each : cases) {
    const Asking found = asking(each.lists, kUs);
    EXPECT_EQ(found.asks, each.asks) << each.name;
    EXPECT_EQ(found.permits, each.permits) << each.name;
  }
  const Asking other = asking({"check_policy_service inet:localhost:9"}, kUs);
  EXPECT_FALSE(other.asks);
  EXPECT_THAT(other.elsewhere, ElementsAre("inet:localhost:9"));
}

TEST(ParsePostfix, EachSmtpdHasItsOwnRestrictionsOrThoseOfMainCf) {
  const auto facts = parse_postfix(
      "smtpd_sender_restrictions = a, b\nsmtpd_recipient_restrictions = c = d\n"
      "smtpd_end_of_data_restrictions =\n",
      "smtp       inet  n       -       n       -       1       postscreen\n"
      "smtpd      pass  -       -       n       -       -       smtpd\n"
      "submission inet  n       -       n       -       -       smtpd -o x=y\n"
      "    -o syslog_name=smtpd\n"
      "127.0.0.1:10025 inet n - n - - smtpd\n"
      "pickup     unix  n       -       n       60      1       pickup\n",
      "submission/inet/smtpd_sender_restrictions = e\n"
      "submission/inet/smtpd_recipient_restrictions =\n");
  ASSERT_EQ(facts.services.size(), 3U);
  EXPECT_EQ(facts.services[0].name, "smtpd");
  EXPECT_EQ(facts.services[0].sender, "a, b");
  EXPECT_THAT(facts.services[0].at_rcpt, ElementsAre("", "", "a, b", "", "c = d"));
  EXPECT_EQ(facts.services[1].sender, "e");
  EXPECT_THAT(facts.services[1].at_rcpt, ElementsAre("", "", "e", "", ""));
  EXPECT_FALSE(facts.services[1].on_loopback());
  EXPECT_TRUE(facts.services[2].on_loopback());
}

}  // namespace
}  // namespace limits
