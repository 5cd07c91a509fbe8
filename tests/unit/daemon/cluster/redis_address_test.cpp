// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/redis_address.hpp"

#include <gtest/gtest.h>

#include <string>

namespace policyd {
namespace {

struct Good {
  const char* name;
  std::string url;
  RedisAddress address;
};

class RedisUrl : public testing::TestWithParam<Good> {};

TEST_P(RedisUrl, IsRead) {
  const auto address = parse_redis_address(GetParam().url);
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(*address, GetParam().address);
}

const std::string kLabel63(63, 'x');
const std::string kWord100(100, 'u');
const std::string kPath107 = "/" + std::string(106, 'p');

std::string many_hosts(int count) {
  std::string list = "h1";
  for (int i = 2; i <= count; ++i) list += ",h" + std::to_string(i);
  return list;
}

std::vector<RedisHost> sixteen_hosts() {
  std::vector<RedisHost> hosts;
  for (int i = 1; i <= 16; ++i) hosts.push_back({"h" + std::to_string(i), 6379});
  return hosts;
}

INSTANTIATE_TEST_SUITE_P(
    Redis, RedisUrl,
    testing::Values(
        Good{"Host", "redis://engine", {{{"engine", 6379}}, "", "", 0}},
        Good{"Capitals", "REDIS://engine", {{{"engine", 6379}}, "", "", 0}},
        Good{"Valkey", "valkey://engine", {{{"engine", 6379}}, "", "", 0}},
        Good{"FinalSlash", "redis://engine/", {{{"engine", 6379}}, "", "", 0}},
        Good{"NameWithDot", "redis://a-b.example.com.", {{{"a-b.example.com.", 6379}}, "", "", 0}},
        Good{"V4", "redis://192.0.2.1:6380", {{{"192.0.2.1", 6380}}, "", "", 0}},
        Good{"V6", "redis://[2001:db8::1]", {{{"2001:db8::1", 6379}}, "", "", 0}},
        Good{"V6WithPort", "redis://[::1]:1/2", {{{"::1", 1}}, "", "", 2}},
        Good{"SmallestPort", "redis://a:1", {{{"a", 1}}, "", "", 0}},
        Good{"LargestPort", "redis://a:65535", {{{"a", 65535}}, "", "", 0}},
        Good{"Database", "redis://a/65535", {{{"a", 6379}}, "", "", 65535}},
        Good{"User", "redis://mta@a/3", {{{"a", 6379}}, "", "mta", 3}},
        Good{"LongUser", "redis://" + kWord100 + "@a", {{{"a", 6379}}, "", kWord100, 0}},
        Good{"LongLabel", "redis://" + kLabel63, {{{kLabel63, 6379}}, "", "", 0}},
        Good{"Three",
             "redis://a,b:6380,[::1]:7/1",
             {{{"a", 6379}, {"b", 6380}, {"::1", 7}}, "", "", 1}},
        Good{"Sixteen", "redis://" + many_hosts(16), {sixteen_hosts(), "", "", 0}},
        Good{"Sentinel",
             "sentinel://a,b:5,c/mymaster",
             {{{"a", 26379}, {"b", 5}, {"c", 26379}}, "mymaster", "", 0}},
        Good{"SentinelWithAll",
             "sentinel://mta@a/my-master.1/4",
             {{{"a", 26379}}, "my-master.1", "mta", 4}},
        Good{"Unix", "unix:///run/redis.sock", {{{"/run/redis.sock", 0}}, "", "", 0}},
        Good{"LongPath", "unix://" + kPath107, {{{kPath107, 0}}, "", "", 0}},
        Good{"UnixWithAll", "unix://mta@/r.sock?db=7", {{{"/r.sock", 0}}, "", "mta", 7}}),
    [](const auto& row) { return row.param.name; });

struct Bad {
  const char* name;
  std::string url;
  std::string error;
};

class BadRedisUrl : public testing::TestWithParam<Bad> {};

TEST_P(BadRedisUrl, IsRefusedInOneLine) {
  const auto address = parse_redis_address(GetParam().url);
  ASSERT_FALSE(address);
  EXPECT_EQ(address.error().message.find(GetParam().error), 0U) << address.error().message;
  EXPECT_EQ(address.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(address.error().message.find("secret"), std::string::npos) << address.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Redis, BadRedisUrl,
    testing::Values(
        Bad{"Empty", "", "not a valid url: ''; allowed: redis://[USER@]HOST"},
        Bad{"NoScheme", "10.0.0.1:6379",
            "not a valid url: '10.0.0.1:6379'; allowed: redis://[USER@]HOST"},
        Bad{"NoSchemeWithPassword", "u:secret@h", "not a valid url; allowed: redis://[USER@]HOST"},
        Bad{"Http", "http://a",
            "not a valid beginning in url: 'http://'; allowed: redis://[USER@]HOST"},
        Bad{"Tls", "rediss://u:secret@a", "not a valid url: TLS is not supported; let stunnel"},
        Bad{"ValkeyTls", "valkeys://a", "not a valid url: TLS is not supported"},
        Bad{"TooLong", "redis://" + std::string(2041, 'a'), "not a valid url: longer than 2048"},
        Bad{"Password", "redis://u:secret@a", "not a valid url: it contains a password"},
        Bad{"PasswordAlone", "redis://:secret@a", "not a valid url: it contains a password"},
        Bad{"PasswordWithAt", "redis://u:se@secret@a", "not a valid url: it contains a password"},
        Bad{"PasswordWithSlash", "redis://u:x/secret@a", "not a valid url: it contains a password"},
        Bad{"PasswordWithMark", "redis://u:x?secret@a", "not a valid url: it contains a password"},
        Bad{"PasswordLater", "redis://a,u:secret@b", "not a valid url: it contains a password"},
        Bad{"UnixPassword", "unix://u:secret@/x", "not a valid url: it contains a password"},
        Bad{"NoUser", "redis://@a", "not a valid user in url: ''; up to 100 letters"},
        Bad{"LongUser", "redis://" + kWord100 + "u@a", "not a valid user in url: 'uuu"},
        Bad{"NoHost", "redis://", "not a valid host in url: ''; a name, an IPv4 address"},
        Bad{"NoHostButPort", "redis://:6379", "not a valid host in url: ':6379'"},
        Bad{"EmptyInList", "redis://a,,b", "not a valid host in url: ''"},
        Bad{"CommaAtEnd", "redis://a,", "not a valid host in url: ''"},
        Bad{"Twice", "redis://a,b,a:6379", "not a valid host in url: 'a:6379'; it is named twice"},
        Bad{"Seventeen", "redis://" + many_hosts(17), "not a valid host in url: 'h17'; at most 16"},
        Bad{"LongLabel", "redis://" + kLabel63 + "x", "not a valid host in url: 'xxx"},
        Bad{"ShortV4", "redis://10.0.0", "not a valid host in url: '10.0.0'"},
        Bad{"LargeV4", "redis://10.0.0.256", "not a valid host in url: '10.0.0.256'"},
        Bad{"V6WithoutBrackets", "redis://2001:db8::1", "not a valid host in url: '2001:db8::1'"},
        Bad{"OpenBracket", "redis://[::1", "not a valid host in url: '[::1'"},
        Bad{"AfterBracket", "redis://[::1]x", "not a valid host in url: '[::1]x'"},
        Bad{"V4InBrackets", "redis://[10.0.0.1]", "not a valid host in url: '[10.0.0.1]'"},
        Bad{"Zone", "redis://[fe80::1%eth0]", "not a valid host in url"},
        Bad{"Blank", "redis://a b", "not a valid host in url: 'a b'"},
        Bad{"Control", "redis://a\n", "not a valid host in url: 'a\\x0a'"},
        Bad{"PortZero", "redis://a:0", "not a valid port in url: '0'; 1 to 65535"},
        Bad{"LargePort", "redis://a:65536", "not a valid port in url: '65536'"},
        Bad{"HugePort", "redis://a:99999999999999999999", "not a valid port in url"},
        Bad{"NegativePort", "redis://a:-1", "not a valid port in url: '-1'"},
        Bad{"NoPort", "redis://a:", "not a valid port in url: ''"},
        Bad{"PortWord", "redis://[::1]:x", "not a valid port in url: 'x'"},
        Bad{"LargeDatabase", "redis://a/65536", "not a valid database in url: '65536'; a number"},
        Bad{"NegativeDatabase", "redis://a/-1", "not a valid database in url: '-1'"},
        Bad{"DatabaseWord", "redis://a/mail", "not a valid database in url: 'mail'"},
        Bad{"TwoSlashes", "redis://a/1/", "not a valid database in url: '1/'"},
        Bad{"Query", "redis://a?db=1", "not a valid host in url: 'a?db=1'"},
        Bad{"NoMaster", "sentinel://a", "not a valid master in url: ''; its name as in sentinel"},
        Bad{"BadMaster", "sentinel://a/x y", "not a valid master in url: 'x y'"},
        Bad{"LongMaster", "sentinel://a/" + kWord100 + "x", "not a valid master in url: 'uuu"},
        Bad{"SentinelDatabase", "sentinel://a/m/x", "not a valid database in url: 'x'"},
        Bad{"RelativePath", "unix://run/x", "not a valid path in url: 'run/x'; an absolute path"},
        Bad{"NoPath", "unix:///", "not a valid path in url: '/'"},
        Bad{"LongPath", "unix://" + kPath107 + "p", "not a valid path in url: '/pp"},
        Bad{"UnixQuery", "unix:///x?x=1", "not a valid part in url: 'x=1'; only ?db=DATABASE"},
        Bad{"UnixDatabase", "unix:///x?db=", "not a valid database in url: ''"}),
    [](const auto& row) { return row.param.name; });

TEST(RedisHost, IsShownAsInTheUrl) {
  EXPECT_EQ((RedisHost{"a", 6379}).to_string(), "a:6379");
  EXPECT_EQ((RedisHost{"::1", 6379}).to_string(), "[::1]:6379");
  EXPECT_EQ((RedisHost{"/run/r.sock", 0}).to_string(), "/run/r.sock");
}

}  // namespace
}  // namespace policyd
