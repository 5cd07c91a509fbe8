// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/evident_values.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

using Evident = std::optional<std::string> (*)(std::string_view);

struct Case {
  Evident evident;
  const char* text;
  const char* meant;  // null: takes guessing
};

TEST(Evident, IsWhatWasMeantOrNothing) {
  for (const Case& each : {
           Case{evident_number, "1,000", "1000"},
           Case{evident_number, "1 000 000", "1000000"},
           Case{evident_number, " 100 ", "100"},
           Case{evident_number, "\u00A0007", "7"},
           Case{evident_number, "1,00", nullptr},
           Case{evident_number, "1,000 000", nullptr},
           Case{evident_number, "0", nullptr},
           Case{evident_number, "", nullptr},
           Case{evident_number, "-5", nullptr},
           Case{evident_number, "many", nullptr},
           Case{evident_number, "99999999999999999999", nullptr},
           Case{evident_seconds, "1h", "3600"},
           Case{evident_seconds, "3,600", "3600"},
           Case{evident_seconds, "10 Minutes", "600"},
           Case{evident_seconds, "day", "86400"},
           Case{evident_seconds, "2 weeks", "1209600"},
           Case{evident_seconds, "5m", nullptr},
           Case{evident_seconds, "0h", nullptr},
           Case{evident_seconds, "99999999h", nullptr},
           Case{evident_switch, "yes", "1"},
           Case{evident_switch, " ON", "1"},
           Case{evident_switch, "", "0"},
           Case{evident_switch, "NULL", "0"},
           Case{evident_switch, "y e", nullptr},
           Case{evident_switch, "maybe", nullptr},
           Case{evident_switch, "2", nullptr},
           Case{evident_track, "SenderIP:24", "SenderIP:/24"},
           Case{evident_track, "SenderIP/24", "SenderIP:/24"},
           Case{evident_track, "sender-ip: /64", "SenderIP:/64"},
           Case{evident_track, "Sender:user@doman", "Sender:user@domain"},
           Case{evident_track, "Sedner:user@domain", "Sender:user@domain"},
           Case{evident_track, " Recipient:@domain", "Recipient:@domain"},
           Case{evident_track, "sasl_username", "SASLUsername"},
           Case{evident_track, "polcy", "Policy"},
           Case{evident_track, "Sender", nullptr},
           Case{evident_track, "SenderIP", nullptr},
           Case{evident_track, "SenderIP:/129", nullptr},
           Case{evident_track, "Client:user@domain", nullptr},
           Case{evident_track, "user@example.tk", nullptr},
           Case{evident_track, "", nullptr},
           Case{evident_client_track, "SenderIP:24", "SenderIP:/24"},
           Case{evident_client_track, "Sender:user@domain ", nullptr},
           Case{evident_limit_verdict, "DEFFER", "DEFER"},
           Case{evident_limit_verdict, " reject", "REJECT"},
           Case{evident_limit_verdict, "OK", nullptr},
           Case{evident_limit_verdict, "WAIT", nullptr},
           Case{evident_limit_verdict, "NULL", nullptr},
           Case{evident_access_verdict, "PASSS", "PASS"},
           Case{evident_access_verdict, "DEFER", nullptr},
           Case{evident_limit_type, "messagecounts", "MessageCount"},
           Case{evident_limit_type, "Size", nullptr},
           Case{evident_accounting_period, "daily", "0"},
           Case{evident_accounting_period, "Week", "1"},
           Case{evident_accounting_period, "month", "2"},
           Case{evident_accounting_period, "3", nullptr},
           Case{evident_whitelist_source, "192.0.2.0/24", "SenderIP:192.0.2.0/24"},
           Case{evident_whitelist_source, "senderip: [2001:db8::1]", "SenderIP:2001:db8::1"},
           Case{evident_whitelist_source, "24", nullptr},
           Case{evident_whitelist_source, "mx.example.org", nullptr},
       }) {
    const auto found = each.evident(each.text);
    EXPECT_EQ(found, each.meant == nullptr ? std::nullopt : std::optional<std::string>{each.meant})
        << each.text;
  }
}

}  // namespace
}  // namespace limits
