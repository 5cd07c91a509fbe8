// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/spf_sanitiser.hpp"
#include "daemon/base/ip_address.hpp"

#include <gtest/gtest.h>

namespace policyd {
namespace {

const SpfIdentity kWho{*IpAddress::parse("192.0.2.3"), "strong-bad@email.example.com",
                       "mail.example.org"};

std::string safe(std::string_view text, const SpfIdentity& who = kWho) {
  return safe_spf_record(text, "email.example.com", who).value_or("(unacceptable)");
}

TEST(SpfRecord, IsDistinguishedFromOtherText) {
  for (const char* text : {"v=spf1", "v=spf1 -all", "V=SPF1 -all", "v=spf1 "}) {
    EXPECT_TRUE(is_spf_record(text)) << text;
  }
  for (const char* text : {"", "v=spf10 -all", "v=spf", " v=spf1", "spf2.0/pra", "v=spf1\t-all"}) {
    EXPECT_FALSE(is_spf_record(text)) << text;
  }
}

// The table of RFC 7208, 7.4.
TEST(SpfRecord, ExpandsMacros) {
  struct Row {
    const char* macro;
    const char* expanded;
  };
  for (const Row& row :
       {Row{"%{s}", "strong-bad@email.example.com"},
        Row{"%{o}", "email.example.com"},
        Row{"%{d}", "email.example.com"},
        Row{"%{d4}", "email.example.com"},
        Row{"%{d3}", "email.example.com"},
        Row{"%{d2}", "example.com"},
        Row{"%{d1}", "com"},
        Row{"%{dr}", "com.example.email"},
        Row{"%{d2r}", "example.email"},
        Row{"%{l}", "strong-bad"},
        Row{"%{l-}", "strong.bad"},
        Row{"%{lr}", "strong-bad"},
        Row{"%{lr-}", "bad.strong"},
        Row{"%{l1r-}", "strong"},
        Row{"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        Row{"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        Row{"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        Row{"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
        Row{"%{h}.%{p}", "mail.example.org.unknown"},
        Row{"%{D}", "email.example.com"},
        Row{"a%%b", "a!b"}}) {
    EXPECT_EQ(safe(std::string{"v=spf1 exists:"} + row.macro),
              std::string{"v=spf1 exists:"} + row.expanded);
  }
}

TEST(SpfRecord, ExpandsAnIpv6Address) {
  SpfIdentity who = kWho;
  who.client = *IpAddress::parse("2001:db8::cb01");
  EXPECT_EQ(safe("v=spf1 exists:%{ir}.%{v}._spf.%{d2}", who),
            "v=spf1 exists:1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
            "ip6._spf.example.com");
}

TEST(SpfRecord, LeavesNoMacroInTextFromTheSender) {
  SpfIdentity who = kWho;
  who.sender = "%{d}/24 x@example.com";
  who.helo_name = "%{l}";
  EXPECT_EQ(safe("v=spf1 a:%{l}.x a:%{h}", who), "v=spf1 a:!!d!!24!x.x a:!!l!");
}

TEST(SpfRecord, RejectsInvalidRecords) {
  for (const char* text : {"v=spf1 a:%",
                           "v=spf1 a:%{",
                           "v=spf1 a:%{}",
                           "v=spf1 a:%{x}",
                           "v=spf1 a:%{c}",
                           "v=spf1 a:%{d0}",
                           "v=spf1 a:%{d129}",
                           "v=spf1 a:%{d99999999999999999999}",
                           "v=spf1 a:%{d-2}",
                           "v=spf1 a:%{d2r2}",
                           "v=spf1 a:%{d!}",
                           "v=spf1 a:%d",
                           "v=spf1 %{d}",
                           "v=spf1 ip4:%{i}",
                           "v=spf1 +IP4:192.0.2.1/%{l}",
                           "v=spf1 ?ip6:%{i}/64",
                           "v=spf1 %{d}:x",
                           "v=spf1 a:\x80",
                           "v=spf1 a:\x01",
                           "v=spf1\ta"}) {
    EXPECT_EQ(safe(text), "(unacceptable)") << text;
  }
}

TEST(SpfRecord, IsBounded) {
  const auto term = [](std::size_t size) { return "v=spf1 a:" + std::string(size - 2, 'x'); };
  EXPECT_NE(safe(term(255)), "(unacceptable)");
  EXPECT_EQ(safe(term(256)), "(unacceptable)");
  std::string record = "v=spf1";
  while (record.size() + 6 <= 4096) record += " a:x.y";
  record += std::string(4096 - record.size(), ' ');
  EXPECT_NE(safe(record), "(unacceptable)");
  EXPECT_EQ(safe(record + " "), "(unacceptable)");
}

TEST(SpfRecord, DropsLabelsOfANameThatIsTooLong) {
  std::string macros;
  for (int i = 0; i < 20; ++i) macros += "%{d}.";
  const std::string seen = safe("v=spf1 a:" + macros + "end/24");
  ASSERT_TRUE(seen.ends_with("email.example.com.end/24")) << seen;
  EXPECT_LE(seen.size(), std::string{"v=spf1 a:/24"}.size() + 253);
}

TEST(SpfRecord, KeepsOnlyTermsThatDecide) {
  EXPECT_EQ(safe("v=spf1  ip4:198.51.100.1 +ip4:192.0.2.0/24 ip6:2001:db8::/32 exp=x.%{d} "
                 "foo=%{bar} redirect=y.example -all"),
            "v=spf1 +ip4:192.0.2.0/24 redirect=y.example -all");
  // What cannot be read is left for libspf2 to refuse.
  EXPECT_EQ(safe("v=spf1 ip4:1.2.3 ip4:198.51.100.0/33 ip4:198.51.100.0/ ip6:192.0.2.1"),
            "v=spf1 ip4:1.2.3 ip4:198.51.100.0/33 ip4:198.51.100.0/ ip6:192.0.2.1");
}

}  // namespace
}  // namespace policyd
