// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/stop_asking.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

const std::vector<std::string> kOurs = {"inet:localhost:10031", "inet:127.0.0.1:10031"};

TEST(StopAsking, LeavesTheRestOfAList) {
  struct Row {
    const char* before;
    const char* after;
  };
  for (const Row& row : {
           Row{"check_policy_service inet:localhost:10031", ""},
           Row{"check_policy_service inet:localhost:10031, permit", "permit"},
           Row{"permit_mynetworks,check_policy_service\tinet:127.0.0.1:10031 reject",
               "permit_mynetworks reject"},
           Row{"a, check_policy_service { inet:localhost:10031, timeout=10s }, b", "a b"},
           Row{"a, warn_if_reject check_policy_service inet:localhost:10031, b", "a b"},
           Row{"check_policy_service INET:LOCALHOST:10031", ""},
           Row{"a, WARN_IF_REJECT Check_Policy_Service inet:localhost:10031", "a"},
           // Not ours: unchanged to the letter.
           Row{"a,  check_policy_service inet:localhost:10023, b", nullptr},
           Row{"a, check_policy_service", nullptr},
           Row{"$mine,  inet:localhost:10031", nullptr},
           Row{"", nullptr},
       }) {
    EXPECT_EQ(without_us(row.before, kOurs), row.after != nullptr ? row.after : row.before);
  }
}

TEST(StopAsking, PrintsACommandForEachPlace) {
  const auto commands = stop_asking_commands(
      "myhostname = x\n"
      "own = check_policy_service inet:localhost:10031, $more\n"
      "smtpd_sender_restrictions = check_policy_service inet:localhost:10031\n",
      "submission/inet/smtpd_client_restrictions = a, check_policy_service inet:localhost:10031\n"
      "submission/inet/syslog_name = it's\n",
      kOurs, "postconf");
  EXPECT_EQ(commands, (std::vector<std::string>{
                          "postconf -e 'own=$more'", "postconf -e smtpd_sender_restrictions=",
                          "postconf -P submission/inet/smtpd_client_restrictions=a"}));
}

}  // namespace
}  // namespace limits
