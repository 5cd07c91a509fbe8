// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/postfix/copied_setting.hpp"

#include <gtest/gtest.h>

namespace limits {
namespace {

constexpr const CopiedSetting& kDelimiter = kCopiedSettings[0];
constexpr const CopiedSetting& kOrigin = kCopiedSettings[1];

TEST(CopiedSetting, IsSetOnceAndTheRestStays) {
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
    EXPECT_EQ(with_setting(row.before, kDelimiter, "+"), row.after);
    EXPECT_EQ(with_setting(row.after, kDelimiter, "+"), row.after);
  }
}

TEST(CopiedSetting, DelimiterIsASetOfCharacters) {
  for (const char* value : {"", "+", "-", "+-", "#", ";", "=", "'", "$", "+-=_#!.%&*~^|"}) {
    EXPECT_EQ(value_for_daemon(kDelimiter, value), value);
  }
  for (const char* value : {"x", "1", "@", "+ -", "\xC3\xA4", "++++++++++++++++++"}) {
    EXPECT_EQ(value_for_daemon(kDelimiter, value), std::nullopt) << value;
  }
}

TEST(CopiedSetting, OriginIsADomain) {
  EXPECT_EQ(value_for_daemon(kOrigin, ""), "");
  EXPECT_EQ(value_for_daemon(kOrigin, "localhost"), "localhost");
  EXPECT_EQ(value_for_daemon(kOrigin, "Mail.Example.ORG."), "mail.example.org");
  EXPECT_EQ(value_for_daemon(kOrigin, "exämple.org"), "xn--exmple-cua.org");
  for (const char* value : {"/etc/mailname", "$myhostname", "a b", "a@b", "a..b"}) {
    EXPECT_EQ(value_for_daemon(kOrigin, value), std::nullopt) << value;
  }
}

TEST(CopiedSetting, IsSetByACommand) {
  EXPECT_EQ(setting_command("/none/a b.conf", kDelimiter, "+"),
            R"(printf '\n[server]\nrecipient_delimiter=%s\n' + >>'/none/a b.conf' && )"
            "carbonio-limits service reload");
}

}  // namespace
}  // namespace limits
