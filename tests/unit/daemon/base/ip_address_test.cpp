// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/ip_address.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace policyd {
namespace {

std::string shown(const std::optional<IpAddress>& address) {
  return address ? address->to_string() : "none";
}

std::string shown(const std::optional<IpNetwork>& network) {
  if (!network) return "none";
  return network->address.to_string() + "/" + std::to_string(network->length);
}

struct TextCase {
  std::string name;
  std::string text;
  std::string expected;
};

const std::vector<TextCase> kAddresses = {
    {"IPv4", "192.0.2.1", "192.0.2.1"},
    {"LeadingZerosAreDecimal", "010.001.000.009", "10.1.0.9"},
    {"LargestOctet", "255.255.255.255", "255.255.255.255"},
    {"OctetTooLarge", "256.0.0.1", "none"},
    {"OctetTooLong", "0001.2.3.4", "none"},
    {"ThreeOctets", "192.0.2", "none"},
    {"FiveOctets", "1.2.3.4.5", "none"},
    {"TrailingDot", "1.2.3.", "none"},
    {"NoText", "", "none"},
    {"WithLength", "192.0.2.1/32", "none"},
    {"WithSpace", " 192.0.2.1", "none"},
    {"IPv6Short", "2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"},
    {"IPv6Capitals", "2001:DB8::A", "2001:0db8:0000:0000:0000:0000:0000:000a"},
    {"IPv6Full", "1:2:3:4:5:6:7:8", "0001:0002:0003:0004:0005:0006:0007:0008"},
    {"IPv6GapOfOne", "1:2:3:4:5:6:7::", "0001:0002:0003:0004:0005:0006:0007:0000"},
    {"IPv6AllZero", "::", "0000:0000:0000:0000:0000:0000:0000:0000"},
    {"IPv6DottedEnd", "64:ff9b::192.0.2.33", "0064:ff9b:0000:0000:0000:0000:c000:0221"},
    {"MappedIsIPv4", "::ffff:192.0.2.1", "192.0.2.1"},
    {"MappedInHexIsIPv4", "0:0:0:0:0:FFFF:c000:0201", "192.0.2.1"},
    {"TwoGaps", "1::2::3", "none"},
    {"ThreeColons", ":::", "none"},
    {"TooFewGroups", "1:2:3", "none"},
    {"TooManyGroups", "1:2:3:4:5:6:7:8:9", "none"},
    {"GapForNothing", "1:2:3:4::5:6:7:8", "none"},
    {"GroupTooLong", "12345::", "none"},
    {"SingleColonInFront", ":1:2:3:4:5:6:7", "none"},
    {"SingleColonBehind", "1:2:3:4:5:6:7:", "none"},
    {"DottedInFront", "1.2.3.4::", "none"},
    {"Brackets", "[::1]", "none"},
    {"Zone", "fe80::1%eth0", "none"},
};

const std::vector<TextCase> kNetworks = {
    {"Host", "192.0.2.1", "192.0.2.1/32"},
    {"HostBitsAreCut", "192.0.2.77/24", "192.0.2.0/24"},
    {"OneOctet", "10", "10.0.0.0/8"},
    {"TwoOctets", "10.1", "10.1.0.0/16"},
    {"ThreeOctets", "192.0.2", "192.0.2.0/24"},
    {"ShortWithLength", "10.1/12", "10.0.0.0/12"},
    {"Everything", "0.0.0.0/0", "0.0.0.0/0"},
    {"LengthBeyondIsTheHost", "192.0.2.0/40", "192.0.2.0/32"},
    {"LengthOfThreeDigits", "192.0.2.0/100", "none"},
    {"LengthMissing", "192.0.2.0/", "none"},
    {"LengthNoNumber", "192.0.2.0/a", "none"},
    {"LengthNegative", "192.0.2.0/-1", "none"},
    {"TwoLengths", "192.0.2.0/24/24", "none"},
    {"ImpossibleOctet", "300.1.1.1", "none"},
    {"IPv6", "2001:db8:1:2::3/32", "2001:0db8:0000:0000:0000:0000:0000:0000/32"},
    {"IPv6Host", "::1", "0000:0000:0000:0000:0000:0000:0000:0001/128"},
    {"IPv6ByGroups", "2001:db8::", "2001:0db8:0000:0000:0000:0000:0000:0000/32"},
    {"IPv6ByThreeGroups", "2001:db8:1::", "2001:0db8:0001:0000:0000:0000:0000:0000/48"},
    {"IPv6ByNoGroups", "::", "0000:0000:0000:0000:0000:0000:0000:0000/0"},
    {"IPv6LengthBeyond", "::1/129", "0000:0000:0000:0000:0000:0000:0000:0001/128"},
    {"IPv6OddLength", "ffff:ffff::/17", "ffff:8000:0000:0000:0000:0000:0000:0000/17"},
    {"Mapped", "::ffff:192.0.2.1", "192.0.2.1/32"},
    {"MappedNetwork", "::ffff:192.0.2.0/120", "192.0.2.0/24"},
    {"MoreThanTheMapped", "::ffff:192.0.2.0/80", "0000:0000:0000:0000:0000:0000:0000:0000/80"},
    {"NoText", "", "none"},
    {"Name", "example.org", "none"},
};

class AddressText : public testing::TestWithParam<TextCase> {};
TEST_P(AddressText, Parses) {
  EXPECT_EQ(shown(IpAddress::parse(GetParam().text)), GetParam().expected);
}
class NetworkText : public testing::TestWithParam<TextCase> {};
TEST_P(NetworkText, Parses) {
  EXPECT_EQ(shown(IpNetwork::parse(GetParam().text)), GetParam().expected);
}
const auto kName = [](const testing::TestParamInfo<TextCase>& row) { return row.param.name; };
INSTANTIATE_TEST_SUITE_P(IpAddress, AddressText, testing::ValuesIn(kAddresses), kName);
INSTANTIATE_TEST_SUITE_P(IpNetwork, NetworkText, testing::ValuesIn(kNetworks), kName);

TEST(IpNetwork, ContainsExactlyItsRange) {
  const auto network = IpNetwork::parse("10.0.0.0/15");
  ASSERT_TRUE(network);
  EXPECT_FALSE(network->contains(*IpAddress::parse("9.255.255.255")));
  EXPECT_TRUE(network->contains(*IpAddress::parse("10.0.0.0")));
  EXPECT_TRUE(network->contains(*IpAddress::parse("10.1.255.255")));
  EXPECT_FALSE(network->contains(*IpAddress::parse("10.2.0.0")));
}

TEST(IpNetwork, DoesNotContainTheOtherFamily) {
  EXPECT_FALSE(IpNetwork::parse("0.0.0.0/0")->contains(*IpAddress::parse("::1")));
  EXPECT_FALSE(IpNetwork::parse("::/0")->contains(*IpAddress::parse("192.0.2.1")));
  EXPECT_TRUE(IpNetwork::parse("0.0.0.0/0")->contains(*IpAddress::parse("::ffff:192.0.2.1")));
}

TEST(IpAddress, MaskClampsItsLength) {
  const auto address = *IpAddress::parse("192.0.2.255");
  EXPECT_EQ(address.masked(-1).to_string(), "0.0.0.0");
  EXPECT_EQ(address.masked(31).to_string(), "192.0.2.254");
  EXPECT_EQ(address.masked(99).to_string(), "192.0.2.255");
}

}  // namespace
}  // namespace policyd
