// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/postfix_asks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limits {
namespace {

using testing::ElementsAre;

const std::vector<std::string> kUs = {"inet:localhost:10031", "inet:127.0.0.1:10031"};

std::vector<RestrictionList> lists_of(const std::vector<std::string>& values) {
  std::vector<RestrictionList> out;
  for (const std::string& value : values) {
    out.push_back({"smtpd_recipient_restrictions", value, value, false});
  }
  return out;
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
      {"behind a map with OK",
       {"check_client_access hash:/friends, check_policy_service inet:localhost:10031"},
       true,
       {"check_client_access hash:/friends"}},
      {"behind a map without",
       {"check_client_access hash:/enemies, check_policy_service inet:localhost:10031"},
       true,
       {}},
      {"only warns",
       {"warn_if_reject check_policy_service inet:localhost:10031, permit"},
       false,
       {}},
      {"a warning about another check",
       {"warn_if_reject reject_unknown_client_hostname check_policy_service inet:localhost:10031"},
       true,
       {}},
      {"in capitals",
       {"PERMIT_MYNETWORKS, Check_Policy_Service inet:localhost:10031"},
       true,
       {"PERMIT_MYNETWORKS"}},
      {"behind a map in capitals",
       {"CHECK_CLIENT_ACCESS hash:/friends, check_policy_service inet:localhost:10031"},
       true,
       {"CHECK_CLIENT_ACCESS hash:/friends"}},
      {"behind a map alone",
       {"hash:/friends, check_policy_service inet:localhost:10031"},
       true,
       {"hash:/friends"}},
      {"behind a word that Postfix does not know",
       {"check-policy-service inet:h:1, check_policy_service inet:localhost:10031"},
       false,
       {}},
      {"in typographic quotation marks",
       {"“check_policy_service inet:localhost:10031”"},
       false,
       {}},
  };
  for (const Case& each : cases) {
    const Asking found = asking(lists_of(each.lists), kUs,
                                {"check_client_access hash:/friends",
                                 "CHECK_CLIENT_ACCESS hash:/friends", "hash:/friends"});
    EXPECT_EQ(found.asks, each.asks) << each.name;
    EXPECT_EQ(found.permits, each.permits) << each.name;
  }
  const Asking other = asking(lists_of({"check_policy_service inet:localhost:9"}), kUs);
  EXPECT_FALSE(other.asks);
  EXPECT_THAT(other.elsewhere, ElementsAre("inet:localhost:9"));
}

TEST(AskingFirst, PutsTheCheckAtTheBeginningOnce) {
  const std::string check = "check_policy_service inet:localhost:10031";
  const auto first = [](const char* list) { return asking_first(list, kUs); };
  EXPECT_EQ(first(""), check);
  EXPECT_EQ(first("permit_mynetworks, $mine reject"), check + ", permit_mynetworks, $mine, reject");
  EXPECT_EQ(first("permit_mynetworks, check_policy_service inet:127.0.0.1:10031, reject"),
            check + ", permit_mynetworks, reject");
  EXPECT_EQ(first("warn_if_reject check_policy_service inet:localhost:10031, reject"),
            check + ", reject");
  EXPECT_EQ(first("“check_policy_service inet:localhost:10031”, reject"), check + ", reject");
  EXPECT_EQ(
      first("check_policy_service=inet:localhost:10031, reject_sender_login_mismatch, permit"),
      check + ", reject_sender_login_mismatch, permit");
  EXPECT_EQ(first("“reject_sender_login_mismatch”, permit"),
            check + ", reject_sender_login_mismatch, permit");
  EXPECT_EQ(first("check_client_access hash:/a, check_policy_service inet:h:1"),
            check + ", check_client_access hash:/a, check_policy_service inet:h:1");
}

TEST(ListWithoutBlanks, IsForMasterCf) {
  EXPECT_EQ(list_without_blanks("permit_mynetworks, check_client_access hash:/a"),
            "permit_mynetworks,check_client_access,hash:/a");
  EXPECT_EQ(list_without_blanks("check_policy_service { inet:h:1, timeout=9s }"), std::nullopt);
}

TEST(ParsePostfix, EachSmtpdHasItsOwnRestrictionsOrThoseOfMainCf) {
  PostconfOutput output;
  output.main_cf =
      "smtpd_sender_restrictions = a, b\nsmtpd_recipient_restrictions = c = d\n"
      "smtpd_end_of_data_restrictions =\nsmtpd_delay_reject = yes\n";
  output.main_cf_written = "smtpd_sender_restrictions = $mine\n";
  output.services =
      "smtp       inet  n       -       n       -       1       postscreen\n"
      "smtpd      pass  -       -       n       -       -       smtpd\n"
      "submission inet  n       -       n       -       -       smtpd -o x=y\n"
      "    -o syslog_name=smtpd\n"
      "127.0.0.1:10025 inet n - n - - smtpd\n"
      "pickup     unix  n       -       n       60      1       pickup\n";
  output.overrides =
      "submission/inet/smtpd_sender_restrictions = e\n"
      "submission/inet/smtpd_recipient_restrictions =\n";
  output.overrides_written = output.overrides;
  const auto facts = parse_postfix(output);
  const auto values = [](const std::vector<RestrictionList>& lists) {
    std::vector<std::string> out;
    for (const RestrictionList& list : lists) out.push_back(list.value);
    return out;
  };
  ASSERT_EQ(facts.services.size(), 3U);
  EXPECT_EQ(facts.services[0].name, "smtpd");
  EXPECT_THAT(values(facts.services[0].at_rcpt), ElementsAre("", "", "a, b", "", "c = d"));
  EXPECT_EQ(facts.services[0].at_rcpt[2].written, "$mine");
  EXPECT_FALSE(facts.services[0].at_rcpt[2].own);
  EXPECT_THAT(values(facts.services[1].at_rcpt), ElementsAre("", "", "e", "", ""));
  EXPECT_TRUE(facts.services[1].at_rcpt[2].own);
  EXPECT_FALSE(facts.services[1].on_loopback());
  EXPECT_TRUE(facts.services[2].on_loopback());
}

TEST(ParsePostfix, ListsThatRunBeforeRcptDoNotCount) {
  PostconfOutput output;
  output.main_cf =
      "smtpd_client_restrictions = a\nsmtpd_sender_restrictions = b\n"
      "smtpd_recipient_restrictions = c\nsmtpd_delay_reject = no\n";
  output.services = "smtp inet n - n - - smtpd\n25 inet n - n - - smtpd\n";
  output.overrides = "25/inet/smtpd_delay_reject = yes\n";
  const auto facts = parse_postfix(output);
  ASSERT_EQ(facts.services.size(), 2U);
  EXPECT_EQ(facts.services[0].at_rcpt.size(), 2U);
  EXPECT_EQ(facts.services[0].before_rcpt.size(), 3U);
  EXPECT_EQ(facts.services[1].at_rcpt.size(), 5U);
}

TEST(ParsePostfix, RestrictionClassesStandForTheirLists) {
  PostconfOutput output;
  output.main_cf =
      "smtpd_restriction_classes = limits, loop\n"
      "limits = check_policy_service inet:localhost:10031\nloop = loop\n"
      "smtpd_recipient_restrictions = reject_x, limits, permit\n";
  output.services = "smtp inet n - n - - smtpd\n";
  const auto facts = parse_postfix(output);
  EXPECT_TRUE(asking(facts.services.at(0).at_rcpt, kUs).asks);
}

}  // namespace
}  // namespace limits
