// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/track.hpp"
#include "daemon/base/ip_address.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace policyd {
namespace {

std::string key_of(std::string_view text, const Request& request) {
  const auto track = Track::parse(text);
  if (!track) return "error";
  std::string key = "before ";
  append_track_key(key, *track, request);
  return key.substr(7);
}

std::string key_without_extensions(std::string_view text, const Request& request) {
  const std::vector<GroupRow> groups{{1, "internal_domains", {{1, "@own.example"}}}};
  const OwnDomains own{groups};
  std::string key;
  append_track_key(key, *Track::parse(text), request, Extensions{"+", own});
  return key;
}

Request request_from(std::string_view client) {
  Request request;
  request.sender = "alice@example.org";
  request.recipient = "bob@example.com";
  request.client_address = IpAddress::parse(client).value();
  return request;
}

struct KeyCase {
  const char* track;
  const char* key;
};

TEST(Track, LeavesOffExtensionsOfOwnAddresses) {
  Request request = request_from("192.0.2.77");
  request.sender = "anna+1@own.example";
  request.recipient = "bob+2@own.example";
  for (const KeyCase& c : {
           KeyCase{"Sender:user@domain", "Sender:anna@own.example"},
           KeyCase{"Sender:user@", "Sender:anna@"},
           KeyCase{"Sender:@domain", "Sender:@own.example"},
           KeyCase{"Recipient:user@domain", "Recipient:bob@own.example"},
           KeyCase{"Recipient:user@", "Recipient:bob@"},
           KeyCase{"Sender:user@domain per account", "SASLUsername:anna@own.example"},
       }) {
    EXPECT_EQ(key_without_extensions(c.track, request), c.key);
  }
  request.sasl_username = "anna+1@own.example";  // a login is a name of its own
  EXPECT_EQ(key_without_extensions("SASLUsername", request), "SASLUsername:anna+1@own.example");
  EXPECT_EQ(key_without_extensions("Sender:user@domain per account", request),
            "SASLUsername:anna+1@own.example");
  request.sender = "list+1=bob=own.example@example.net";
  EXPECT_EQ(key_without_extensions("Sender:user@domain", request),
            "Sender:list+1=bob=own.example@example.net");
}

TEST(Track, HasTheKeysOfCBPolicyD) {
  Request request = request_from("192.0.2.77");
  request.sasl_username = "alice";
  for (const KeyCase& c : {
           KeyCase{"Policy", "Policy"},
           KeyCase{"policy", "Policy"},
           KeyCase{"Policy:whatever", "Policy"},
           KeyCase{"SenderIP:/32", "SenderIP:192.0.2.77/32"},
           KeyCase{"SenderIP:/24", "SenderIP:192.0.2.0/24"},
           KeyCase{"SENDERIP:/16", "SenderIP:192.0.0.0/16"},
           KeyCase{"SenderIP:/0", "SenderIP:0.0.0.0/0"},
           KeyCase{"SenderIP:/64", "SenderIP:192.0.2.77/64"},
           KeyCase{"SenderIP:/24 ", "SenderIP:192.0.2.0/24"},
           KeyCase{"Sender:user@domain", "Sender:alice@example.org"},
           KeyCase{"sender:USER@DOMAIN", "Sender:alice@example.org"},
           KeyCase{"Sender:@domain", "Sender:@example.org"},
           KeyCase{"Sender:user@", "Sender:alice@"},
           KeyCase{"Recipient:user@domain", "Recipient:bob@example.com"},
           KeyCase{"Recipient:@domain", "Recipient:@example.com"},
           KeyCase{"Recipient:user@", "Recipient:bob@"},
           KeyCase{"SASLUsername", "SASLUsername:alice"},
           KeyCase{"SASLUsername:username", "SASLUsername:alice"},
           KeyCase{"saslusername:", "SASLUsername:alice"},
       }) {
    EXPECT_EQ(key_of(c.track, request), c.key) << c.track;
  }
}

TEST(Track, WritesIPv6InFullAndMasked) {
  const Request request = request_from("2001:db8:1:2::3");
  for (const KeyCase& c : {
           KeyCase{"SenderIP:/16", "SenderIP:2001:0000:0000:0000:0000:0000:0000:0000/16"},
           KeyCase{"SenderIP:/24", "SenderIP:2001:0d00:0000:0000:0000:0000:0000:0000/24"},
           KeyCase{"SenderIP:/32", "SenderIP:2001:0db8:0000:0000:0000:0000:0000:0000/32"},
           KeyCase{"SenderIP:/64", "SenderIP:2001:0db8:0001:0002:0000:0000:0000:0000/64"},
           KeyCase{"SenderIP:/128", "SenderIP:2001:0db8:0001:0002:0000:0000:0000:0003/128"},
       }) {
    EXPECT_EQ(key_of(c.track, request), c.key) << c.track;
  }
}

TEST(Track, HasOneKeyForAllEmptySenders) {
  Request request = request_from("192.0.2.77");
  request.sender = "";
  for (const char* track : {"Sender:user@domain", "Sender:@domain", "Sender:user@"}) {
    EXPECT_EQ(key_of(track, request), "Sender:<>") << track;
  }
}

TEST(Track, CountsAddressesWithoutADomainOrWithABlank) {
  Request request = request_from("192.0.2.77");
  request.sender = request.recipient = "root";
  for (const std::string method : {"Sender", "Recipient"}) {
    EXPECT_EQ(key_of(method + ":user@domain", request), method + ":root");
    EXPECT_EQ(key_of(method + ":@domain", request), method + ":@");
    EXPECT_EQ(key_of(method + ":user@", request), method + ":root@");
  }
  request.sender = "max m@example.org";
  EXPECT_EQ(key_of("Sender:user@domain", request), "Sender:max m@example.org");
  EXPECT_EQ(key_of("Sender:@domain", request), "Sender:@example.org");
  EXPECT_EQ(key_of("Sender:user@", request), "Sender:max m@");
}

TEST(Track, HasOneKeyForAllEmptyRecipients) {
  Request request = request_from("192.0.2.77");
  request.recipient = "";
  for (const char* track : {"Recipient:user@domain", "Recipient:@domain", "Recipient:user@"}) {
    EXPECT_EQ(key_of(track, request), "Recipient:@") << track;
  }
}

TEST(Track, DistinguishesAnAbsentSaslUsernameFromAnEmptyOne) {
  Request request = request_from("192.0.2.77");
  EXPECT_EQ(key_of("SASLUsername", request), "SASLUsername:-");
  request.sasl_username = "";
  EXPECT_EQ(key_of("SASLUsername", request), "SASLUsername:");
}

// Web mail has no login, so its sender stands for it. The Perl daemon reads no further than
// `domain`.
TEST(Track, CountsAccountsByLoginOrElseBySender) {
  Request request = request_from("192.0.2.77");
  const auto key = [&] { return key_of("Sender:user@domain per account", request); };
  EXPECT_EQ(key(), "SASLUsername:alice@example.org");
  request.sasl_username = "";
  EXPECT_EQ(key(), "SASLUsername:alice@example.org");
  request.sasl_username = "alice@example.org";
  EXPECT_EQ(key(), "SASLUsername:alice@example.org");  // one counter for both
  request.sender = "forged@example.net";
  EXPECT_EQ(key(), "SASLUsername:alice@example.org");
  request.sasl_username.reset();
  request.sender = "";
  EXPECT_EQ(key(), "SASLUsername:<>");
  EXPECT_EQ(key_of("Sender:user@domain per accounts", request), "Sender:<>");
}

// Otherwise anyone could get a fresh counter by putting an `@` before their domain.
TEST(Track, TakesTheDomainAfterTheLastAt) {
  Request request = request_from("192.0.2.77");
  request.sender = "x@y@example.org";
  EXPECT_EQ(key_of("Sender:@domain", request), "Sender:@example.org");
  EXPECT_EQ(key_of("Sender:user@", request), "Sender:x@y@");
  EXPECT_EQ(key_of("Sender:user@domain", request), "Sender:x@y@example.org");
}

TEST(Track, AnythingElseIsInvalid) {
  for (const char* track : {"",
                            ":",
                            "Bogus",
                            "Policy ",
                            " Policy",
                            "Sender",
                            "Sender:",
                            "Sender:user",
                            "Sender:domain",
                            "Sender: user@domain",
                            "Sender:user@domain@",
                            "Recipient",
                            "Recipient:@",
                            "SenderIP",
                            "SenderIP:",
                            "SenderIP:/",
                            "SenderIP:24",
                            "SenderIP:/x",
                            "SenderIP:/24x",
                            "SenderIP:/-1",
                            "SenderIP:/+1",
                            "SenderIP:/129",
                            "SenderIP:/99999999999999999999",
                            "SenderIP:10.0.0.0/8",
                            "SenderIP: /24",
                            ":Policy",
                            "SASLUsername ",
                            "SASL"}) {
    EXPECT_EQ(Track::parse(track).has_value(), false) << "'" << track << "'";
  }
}

TEST(Track, ReportsWhatIsWrongAndWhatIsValid) {
  const auto wrong = Track::parse("Sendr:user@domain");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("'Sendr:user@domain'"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("Sender:user@domain"), std::string::npos);
  EXPECT_LT(Track::parse(std::string(1 << 20, 'x')).error().message.size(), 400u);
}

}  // namespace
}  // namespace policyd
