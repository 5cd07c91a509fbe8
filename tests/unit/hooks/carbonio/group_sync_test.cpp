// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/group_sync.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace carbonio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DomainMember, OfNamesThatMayBeDomains) {
  struct Case {
    const char* name;
    const char* member;
  };
  for (const Case& each :
       {Case{"example.org", "@example.org"}, Case{"Example.ORG", "@example.org"},
        Case{"localhost", "@localhost"}, Case{"xn--bcher-kva.de", "@xn--bcher-kva.de"},
        Case{"B\xc3\x9c"
             "cher.de",
             "@xn--bcher-kva.de"},
        Case{"a_b.example", "@a_b.example"}, Case{"1.example", "@1.example"},
        Case{"example.org.", "@example.org"}}) {
    EXPECT_EQ(domain_member(each.name), each.member);
  }
}

TEST(DomainMember, NoneOfAnythingElse) {
  const std::string longest_label(63, 'a');
  EXPECT_EQ(domain_member(longest_label + ".org"), "@" + longest_label + ".org");
  EXPECT_EQ(domain_member(longest_label + "a.org"), "");
  std::string longest =
      longest_label + "." + longest_label + "." + longest_label + "." + longest_label;
  ASSERT_EQ(longest.size(), 255U);
  EXPECT_EQ(domain_member(longest), "@" + longest);
  EXPECT_EQ(domain_member(longest + ".a"), "");
  for (const char* name :
       {"", ".", "example..", ".example", "a..b", "-a.org", "a-.org", "a b", "a@b",
        "x'); DROP TABLE policies;--", "!a.org", "%group", "*.org", "a/8", "a\n.org"}) {
    EXPECT_EQ(domain_member(name), "") << name;
  }
}

TEST(Networks, OfOneValueOrSeveral) {
  std::vector<std::string> skipped;
  EXPECT_THAT(
      networks_in({"127.0.0.0/8 [::1]/128", "10.1.2.3,192.0.2.0/24\t[2001:DB8::]/32"}, skipped),
      ElementsAre("10.1.2.3/32", "127.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "::1/128"));
  EXPECT_THAT(skipped, IsEmpty());
  EXPECT_THAT(networks_in({}, skipped), IsEmpty());
  EXPECT_THAT(networks_in({"", " ,, "}, skipped), IsEmpty());
  EXPECT_THAT(skipped, IsEmpty());
}

TEST(Networks, AreMaskedAndNamedOnce) {
  std::vector<std::string> skipped;
  EXPECT_THAT(networks_in({"10.1.2.3/8 10.0.0.0/8", "10.9.9.9/8", "::1", "0.0.0.0/0"}, skipped),
              ElementsAre("0.0.0.0/0", "10.0.0.0/8", "::1/128"));
  EXPECT_THAT(skipped, IsEmpty());
}

TEST(Networks, OfMappedAddressesAreIPv4) {
  std::vector<std::string> skipped;
  EXPECT_THAT(networks_in({"[::ffff:127.0.0.0]/104 ::ffff:10.0.0.1 [::FFFF:192.0.2.0]/120 "
                           "[::ffff:0:0]/96"},
                          skipped),
              ElementsAre("0.0.0.0/0", "10.0.0.1/32", "127.0.0.0/8", "192.0.2.0/24"));
  EXPECT_THAT(networks_in({"[::ffff:127.0.0.0]/129"}, skipped), IsEmpty());
  EXPECT_THAT(skipped, ElementsAre("[::ffff:127.0.0.0]/129"));
}

TEST(Networks, OthersAreSkippedAndTheRestKept) {
  std::vector<std::string> skipped;
  EXPECT_THAT(networks_in({"10.0.0.0/33 10.0.0.0/ 10.0.0.0/-1 10.0.0/8 ::1/129 !10.0.0.0/8 hash:/x "
                           "192.0.2.1"},
                          skipped),
              ElementsAre("192.0.2.1/32"));
  EXPECT_THAT(skipped, ElementsAre("10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "::1/129",
                                   "!10.0.0.0/8", "hash:/x"));
}

TEST(WantedMembers, TheServersNetworksElseTheGlobalOnes) {
  const std::string global = "zimbraMtaMyNetworks: 127.0.0.0/8\n";
  std::array<std::string, 3> answers = {"b.example\nA.example\nb.example\n# odd\n",
                                        "# name mail.example.com\n", global};
  auto wanted = wanted_in(answers);
  ASSERT_TRUE(wanted) << wanted.error().message;
  EXPECT_THAT(wanted->domains, ElementsAre("@a.example", "@b.example"));
  EXPECT_THAT(*wanted->networks, ElementsAre("127.0.0.0/8"));
  EXPECT_THAT(wanted->skipped, ElementsAre("# odd"));
  answers[1] = "# name mail.example.com\nzimbraMtaMyNetworks: 10.0.0.0/8\n";
  EXPECT_THAT(*wanted_in(answers)->networks, ElementsAre("10.0.0.0/8"));
  answers[1] = "# name mail.example.com\nzimbraMtaMyNetworks: hash:/x 10.0.0/8\n";
  EXPECT_EQ(wanted_in(answers)->networks, std::nullopt) << "none that can be read";
  EXPECT_THAT(wanted_in(answers)->skipped, ElementsAre("# odd", "hash:/x", "10.0.0/8"));
  answers = {answers[0], "# name mail.example.com\n", ""};
  EXPECT_THAT(*wanted_in(answers)->networks, IsEmpty()) << "none at all";
}

TEST(WantedMembers, TheNetworksOfAllMtasAndOfThisServer) {
  EXPECT_EQ(group_questions("a", NetworksOf::this_server).size(), 3U);
  EXPECT_THAT(group_questions("a", NetworksOf::all_mta).back(), ElementsAre("gas", "-v", "mta"));
  const std::array<std::string, 4> answers = {
      "a.example\n", "# name a\nzimbraMtaMyNetworks: 10.0.0.0/8\n",
      "zimbraMtaMyNetworks: 127.0.0.0/8 hash:/x\n",
      "# name b\n\n# name c\nzimbraMtaMyNetworks: 192.0.2.1\n\n# name d\n"};
  const auto wanted = wanted_in(answers);
  ASSERT_TRUE(wanted) << wanted.error().message;
  EXPECT_THAT(*wanted->networks, ElementsAre("10.0.0.0/8", "127.0.0.0/8", "192.0.2.1/32"));
  EXPECT_THAT(wanted->skipped, ElementsAre("hash:/x"));
  EXPECT_THAT(mta_names_in(answers), ElementsAre("b", "c", "d"));
  EXPECT_THAT(mta_names_in(std::span{answers}.first(3)), IsEmpty());
}

TEST(WantedMembers, AnImplausibleAnswerIsAnError) {
  const std::string server = "# name mail.example.com\n";
  EXPECT_THAT(wanted_in(std::array<std::string, 3>{"", server, ""}).error().message,
              HasSubstr("listed no domain"));
  EXPECT_THAT(wanted_in(std::array<std::string, 3>{"a b\n", server, ""}).error().message,
              HasSubstr("listed no domain"));
  EXPECT_THAT(wanted_in(std::array<std::string, 3>{"a.example\n", "", ""}).error().message,
              HasSubstr("did not show this server"));
}

}  // namespace
}  // namespace carbonio
