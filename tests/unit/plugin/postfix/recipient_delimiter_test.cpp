// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/recipient_delimiter.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

TEST(RecipientDelimiter, IsSetOnceAndTheRestStays) {
  struct Row {
    const char* before;
    const char* after;
  };
  for (const Row& row : {
           Row{"", "[server]\nrecipient_delimiter=+\n"},
           Row{"[Quotas]\nalgorithm=decay",
               "[Quotas]\nalgorithm=decay\n\n[server]\n"
               "recipient_delimiter=+\n"},
           Row{"# a\n[server]\n#recipient_delimiter=\nmax_sessions=5\n",
               "# a\n[server]\nrecipient_delimiter=+\n#recipient_delimiter=\nmax_sessions=5\n"},
           Row{"[server]\nrecipient_delimiter=-\n[x]\n Recipient_Delimiter = =\n [Server] \n",
               "[server]\nrecipient_delimiter=+\n[x]\n [Server] \n"},
           Row{"[server]\r\nport=1\r\n", "[server]\r\nrecipient_delimiter=+\nport=1\r\n"},
       }) {
    EXPECT_EQ(with_delimiter(row.before, "+"), row.after);
    EXPECT_EQ(with_delimiter(row.after, "+"), row.after);
  }
}

TEST(RecipientDelimiter, IsASetOfCharacters) {
  for (const char* value : {"", "+", "-", "+-", "#", ";", "=", "'", "$", "+-=_#!.%&*~^|"}) {
    EXPECT_TRUE(is_valid_delimiter(value)) << value;
  }
  for (const char* value : {"x", "1", "@", "+ -", "\xC3\xA4", "++++++++++++++++++"}) {
    EXPECT_FALSE(is_valid_delimiter(value)) << value;
  }
}

TEST(RecipientDelimiter, IsSetByACommand) {
  EXPECT_EQ(delimiter_command("/none/a b.conf", "+"),
            R"(printf '\n[server]\nrecipient_delimiter=%s\n' + >>'/none/a b.conf' && )"
            "carbonio-limits service reload");
}

}  // namespace
}  // namespace limits
