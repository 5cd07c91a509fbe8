// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/whom.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace limits {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Target whom(std::string_view text) {
  const auto target = parse_whom(text);
  EXPECT_TRUE(target) << text;
  return target.value_or(Target{});
}

OwnNames own_names() {
  OwnNames out;
  out.domains = {"example.org"};
  out.networks = {"10.0.0.0/8", "192.0.2.10/32"};
  out.host_addresses = {"127.0.0.0/8", "::1/128", "10.9.8.7", "2001:db8:9::7"};
  return out;
}

std::string never(std::string_view text, const std::vector<std::string>& list = {},
                  std::string_view actor = "root on pts/0 (sudo by carl)") {
  const Target target = whom(text);
  const OwnNames own = own_names();
  return why_never(target, items_of_whom(target, own.login_domain()), own, list, actor);
}

TEST(Whom, IsALoginAnAddressOrAClient) {
  EXPECT_EQ(whom("anna").who, Who::login);
  EXPECT_EQ(whom("anna.smith").who, Who::login);
  EXPECT_EQ(whom("10").who, Who::login);
  EXPECT_EQ(whom("login anna").name, "anna");
  EXPECT_EQ(whom("Anna@Example.org").name, "anna@example.org");
  EXPECT_EQ(whom("$anna@example.org").who, Who::user);
  EXPECT_EQ(whom("192.0.2.1").who, Who::client);
  EXPECT_EQ(whom("192.0.2.0/24").name, "192.0.2.0/24");
  for (const char* text : {"2001:DB8::1", "2001:db8:0:0::1", "2001:0db8::0001/128"}) {
    EXPECT_EQ(whom(text).name, "2001:db8::1/128") << text;
  }
  EXPECT_EQ(whom("2001:DB8:0::/48").name, "2001:db8::/48");
}

TEST(Whom, IsNothingElse) {
  for (const char* text : {"", "@example.org", "*", "*@example.org", "-", "a b", "a,b", "anna@",
                           "a@b@c", "192.0.2.0/33", "192.0.2.1/24", "x/24"}) {
    EXPECT_FALSE(parse_whom(text)) << text;
  }
  EXPECT_TRUE(parse_whom("*").error().message.starts_with(
      "'*' stands for more than one account; give a login, a mail address"));
}

TEST(Whom, IsTypedAsLogsHaveIt) {
  const auto name = [](std::string_view text) {
    const auto target = parse_typed_whom(text);
    return target ? target->name : target.error().message;
  };
  EXPECT_EQ(name("<Anna@example.org>"), "anna@example.org");
  EXPECT_EQ(name("anna%example.org"), "anna@example.org");
  EXPECT_EQ(name("example.org!anna"), "anna@example.org");
  EXPECT_EQ(name("$anna%example.org"), "anna%example.org");
  EXPECT_EQ(name("anna"), "anna");
  EXPECT_EQ(name("10"), "10");
  for (const char* text : {"192.0.2.1", "unknown[192.0.2.1]", "[192.0.2.1]"}) {
    EXPECT_EQ(name(text), "192.0.2.1") << text;
  }
  for (const char* text :
       {"2001:db8::1", "[2001:DB8::1]", "IPv6:2001:db8::1", "x[ipv6:2001:db8::1]"}) {
    EXPECT_EQ(name(text), "2001:db8::1/128") << text;
  }
}

TEST(Whom, IsNoSlip) {
  for (const char* text :
       {"", "<>", "192.0.2.300", "192.0.2.", "192.0.2", "192.0.2.1:25", "2001:db8::1%eth0",
        "unknown[x]", ".evil.example", "%internal_domains", "@example.org", "<anna"}) {
    EXPECT_FALSE(parse_typed_whom(text)) << text;
  }
  EXPECT_EQ(parse_typed_whom("$192.0.2.300").value_or(Target{}).who, Who::login);
}

TEST(Whom, ALocalPartMayHaveASlash) {
  EXPECT_EQ(whom("a/b@example.org").who, Who::user);
  EXPECT_FALSE(parse_whom("192.0.2.1/a@example.org"));
}

TEST(Whom, NamesOfItemsAreNamedOnce) {
  EXPECT_THAT(names_in(items_of_whom(whom("anna@example.org"), "example.org")),
              ElementsAre("anna@example.org", "anna"));
  EXPECT_THAT(names_in(items_of_whom(whom("192.0.2.1"), "example.org")), ElementsAre("192.0.2.1"));
}

TEST(Whom, StandsForBothSpellingsOfAnAccount) {
  EXPECT_THAT(items_of_whom(whom("anna@example.org"), "example.org"),
              ElementsAre("$anna@example.org", "anna@example.org", "$anna"));
  EXPECT_THAT(items_of_whom(whom("anna"), "example.org"),
              ElementsAre("$anna", "$anna@example.org", "anna@example.org"));
  EXPECT_THAT(items_of_whom(whom("anna@example.net"), "example.org"),
              ElementsAre("$anna@example.net", "anna@example.net"));
  EXPECT_THAT(items_of_whom(whom("anna"), ""), ElementsAre("$anna"));
  EXPECT_THAT(items_of_whom(whom("192.0.2.1"), "example.org"), ElementsAre("192.0.2.1"));
}

TEST(Whom, NeverStandsForOthers) {
  for (const char* name : {"!", "!anna", "%x", "\"a"}) {
    const std::string login = name;
    EXPECT_THAT(items_of_whom(whom(login), "example.org"),
                ElementsAre("$" + login, "$" + login + "@example.org"));
  }
  OwnNames own = own_names();
  own.domains = {"*.example.org"};
  EXPECT_EQ(own.login_domain(), "");
}

TEST(Whom, IsCertainFromMailboxServersOnly) {
  OwnNames own = own_names();
  own.mailboxes = {"10.0.0.5", "2001:db8:7::/64"};
  for (const char* client : {"127.0.0.1", "::1", "10.9.8.7", "10.0.0.5", "2001:db8:7::9"}) {
    EXPECT_TRUE(own.is_mailbox(client)) << client;
  }
  for (const char* client : {"", "10.0.0.6", "192.0.2.10", "2001:db8:8::9", "unknown"}) {
    EXPECT_FALSE(own.is_mailbox(client)) << client;
  }
}

TEST(Whom, OrdinaryAccountsAndClientsMayBeBlocked) {
  for (const char* text : {"anna", "anna@example.org", "postmasters@example.org", "198.51.100.7",
                           "10.1.2.3", "10.1.0.0/16", "2001:db8::1", "2001:db8:9::8"}) {
    EXPECT_EQ(never(text), "") << text;
  }
}

TEST(Whom, SomeAreNeverBlocked) {
  for (const char* text : {"postmaster", "postmaster@example.org", "Postmaster@example.net"}) {
    EXPECT_THAT(never(text), HasSubstr("complaints")) << text;
  }
  for (const char* text : {"root", "carl", "carl@example.org", "root@example.org"}) {
    EXPECT_THAT(never(text), HasSubstr("who runs this command")) << text;
    EXPECT_THAT(never(text, {}, "the page, signed in as root on pts/0 (sudo by carl)"),
                HasSubstr("who runs this command"))
        << text;
  }
  EXPECT_THAT(never("example.org"), HasSubstr("is a domain of this server"));
  for (const char* text : {"127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::1", "::/0", "10.9.8.7",
                           "10.9.8.0/24", "2001:db8:9::7", "2001:db8::/32"}) {
    EXPECT_THAT(never(text), HasSubstr("this host itself")) << text;
  }
  for (const char* text : {"192.0.2.10", "192.0.2.0/25"}) {
    EXPECT_THAT(never(text), HasSubstr("own network")) << text;
  }
}

TEST(Whom, ADomainIsNeverBlockedWithItsSignOrWithout) {
  for (const char* entry : {"@example.net", "example.net", "Example.NET"}) {
    EXPECT_NE(never("bob@example.net", {entry}), "") << entry;
    EXPECT_EQ(never("bob@example.com", {entry}), "") << entry;
  }
  EXPECT_NE(never("max.m", {"max.m"}), "");
  EXPECT_EQ(never("bob@example.net", {"anna@example.net"}), "");
}

TEST(Whom, AClientHasOneSpelling) {
  EXPECT_EQ(whom("010.1.2.3").name, "10.1.2.3");
  EXPECT_EQ(whom("010.1.2.3/32").name, "10.1.2.3");
  EXPECT_EQ(whom("010.1.0.0/016").name, "10.1.0.0/16");
}

TEST(Whom, AllOfAnOwnNetworkIsNeverBlocked) {
  OwnNames own = own_names();
  own.host_addresses.clear();
  for (const char* text : {"10.0.0.0/8", "8.0.0.0/6"}) {
    const Target target = whom(text);
    EXPECT_THAT(why_never(target, items_of_whom(target, ""), own, {}, "root"),
                HasSubstr("own network"))
        << text;
  }
}

TEST(Whom, AnAccountWithTheAliasPostmasterIsNeverBlocked) {
  const std::vector<std::string> items = {"$anna", "anna@example.org", "$postmaster@example.org",
                                          "postmaster@example.org"};
  EXPECT_THAT(why_never(whom("anna@example.org"), items, own_names(), {}, "root"),
              HasSubstr("complaints"));
}

TEST(Whom, KnowsThisHostsAddresses) {
  EXPECT_THAT(addresses_of_this_host(), testing::IsSupersetOf({"127.0.0.0/8", "::1/128"}));
}

TEST(Whom, NeitherIsWhatTheConfigurationNames) {
  const std::vector<std::string> list = {
      "Boss", "news@example.org", "@example.net", "198.51.100.0/24", "2001:db8:5::1", "10"};
  for (const char* text : {"boss", "boss@example.org", "news", "news@example.org", "x@example.net",
                           "198.51.100.7", "198.51.0.0/16", "2001:db8:5::1", "10"}) {
    EXPECT_THAT(never(text, list), HasSubstr("[block] never")) << text;
  }
  for (const char* text : {"bos", "news@example.com", "anna@example.org", "203.0.113.1",
                           "2001:db8:5::2", "10.1.2.3"}) {
    EXPECT_EQ(never(text, list), "") << text;
  }
}

}  // namespace
}  // namespace limits
