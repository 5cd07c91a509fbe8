// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/restriction_list.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

const std::vector<std::string> kNames = {"inet:localhost:10031", "inet:127.0.0.1:10031"};

TEST(RestrictionsOf, ReplacesOnlyTheWordsThatPostfixDoesNotKnow) {
  struct Case {
    const char* list;
    const char* meant;    // null: as written
    const char* unknown;  // the first; null: none
  };
  const char* check = "check_policy_service inet:localhost:10031";
  const char* before_permit = "check_policy_service inet:localhost:10031, permit";
  for (const Case& each : {
           Case{before_permit, nullptr, nullptr},
           Case{"", nullptr, nullptr},
           Case{"check_policy_service { inet:localhost:10031, timeout=9s }", nullptr, nullptr},
           Case{"check_policy_service inet:h:1, check_client_access hash:/é", nullptr, nullptr},
           Case{"permit_mynetworks, hash:/a, permit", nullptr, nullptr},
           Case{"reject_rbl_client, b.example, $mine, check_policies, permit", nullptr, nullptr},
           Case{"check_policy_service=inet:localhost:10031, permit", before_permit,
                "check_policy_service=inet:localhost:10031"},
           Case{"check_policy_service:inet:localhost:10031, permit", before_permit,
                "check_policy_service:inet:localhost:10031"},
           Case{"check_policy_service= inet:localhost:10031", check, "check_policy_service="},
           Case{"check_policy_service\u00A0inet:localhost:10031", check,
                "check_policy_service\u00A0inet:localhost:10031"},
           Case{"“check_policy_service inet:localhost:10031”", check, "“check_policy_service"},
           Case{"check_policy_service inet:localhost:10031”", check, "inet:localhost:10031”"},
           Case{"\"check_policy_service inet:localhost:10031\", permit", before_permit,
                "\"check_policy_service"},
           Case{"check_policy_servce inet:localhost:10031, permit", before_permit,
                "check_policy_servce"},
           Case{"check-policy-service inet:localhost:10031", check, "check-policy-service"},
           Case{"policy inet:localhost:10031", check, "policy"},
           Case{"check_policy_servce inet:h:1", "check_policy_service inet:h:1",
                "check_policy_servce"},
           Case{"check_policy_service localhost:10031, permit", before_permit, "localhost:10031"},
           Case{"check_policy_service Inet:h:1", "check_policy_service inet:h:1", "Inet:h:1"},
           Case{"check_policy_service { localhost:10031, timeout=9s }",
                "check_policy_service { inet:localhost:10031, timeout=9s }", "localhost:10031"},
           Case{"permit_mynetworks, inet:localhost:10031",
                "permit_mynetworks, check_policy_service inet:localhost:10031",
                "inet:localhost:10031"},
           Case{"“reject_unauth_destination”, permit", "reject_unauth_destination, permit",
                "“reject_unauth_destination”"},
           Case{"“check_client_access hash:/a”", "check_client_access hash:/a",
                "“check_client_access"},
           // What is meant takes guessing.
           Case{"check_policy_service h:1", nullptr, "h:1"},
           Case{"check_policy_service", nullptr, "check_policy_service"},
           Case{"check_policy_service, permit", nullptr, "check_policy_service"},
           Case{"reject_\u00FCnknown, permit", nullptr, "reject_\u00FCnknown"},
           // Never reached.
           Case{"reject, “a”", "reject, a", nullptr},
       }) {
    const auto found = restrictions_of(each.list, kNames);
    EXPECT_EQ(list_text(found), each.meant == nullptr ? each.list : each.meant) << each.list;
    const Restriction* unknown = first_unknown(found);
    EXPECT_EQ(unknown == nullptr ? "" : unknown->unknown,
              each.unknown == nullptr ? "" : each.unknown)
        << each.list;
    if (unknown != nullptr) {
      EXPECT_EQ(unknown->evident, each.meant != nullptr) << each.list;
    }
  }
}

TEST(RestrictionsOf, KnowsNamesInCapitals) {
  const auto found = restrictions_of("Check_Client_Access hash:/a, PERMIT_MYNETWORKS", kNames);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].is_access_check());
  EXPECT_EQ(found[0].argument, "hash:/a");
  EXPECT_TRUE(found[1].is_permit());
  EXPECT_TRUE(found[1].is("permit_mynetworks"));
}

}  // namespace
}  // namespace limits
