// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/other_mtas.hpp"

#include <gtest/gtest.h>

#include <array>

namespace limits {
namespace {

const std::array<std::string, 4> kServers = {"mta1.example.com", "mta2.example.com",
                                             "mta.example.com", "mta.example.org"};

std::string server(const std::string& node, const std::string& host) {
  return server_of({node, host, {}, 0, {}}, kServers).value_or("none");
}

TEST(OtherMtas, AServerIsFoundByTheHostsNames) {
  EXPECT_EQ(server("x", "MTA1.example.com"), "mta1.example.com");
  EXPECT_EQ(server("mta1.Example.com", "blue"), "mta1.example.com");
  EXPECT_EQ(server("mta1", "mta1"), "mta1.example.com");
  EXPECT_EQ(server("MTA1", "blue"), "mta1.example.com");
}

TEST(OtherMtas, TheHostNameGoesBeforeTheNameInTheCluster) {
  EXPECT_EQ(server("mta2.example.com", "mta1.example.com"), "mta1.example.com");
  EXPECT_EQ(server("mta2", "mta1"), "mta1.example.com");
  EXPECT_EQ(server("mta2.example.com", "mta1"), "mta2.example.com") << "a whole name before a part";
}

TEST(OtherMtas, WhatIsNotCertainIsNone) {
  EXPECT_EQ(server("mta", "mta"), "none") << "two have that name";
  EXPECT_EQ(server("mta1.internal", "mta1.internal"), "none") << "another domain";
  EXPECT_EQ(server("", ""), "none");
  EXPECT_EQ(server("mta1.example", "mta1.example"), "none");
}

TEST(OtherMtas, TheCommandToJoinIsForOtherHosts) {
  policyd::Config config;
  EXPECT_EQ(join_command(config), "carbonio-limits cluster join redis://HOST");
  config.cluster_url = "redis://redis1,redis2:7000/3";
  EXPECT_EQ(join_command(config), "carbonio-limits cluster join redis://redis1,redis2:7000/3");
  config.cluster_password_file = "/x";
  EXPECT_EQ(join_command(config),
            "carbonio-limits cluster join redis://redis1,redis2:7000/3 --password-stdin");
  config.cluster_password_file.clear();
  for (const char* url : {"redis://127.0.0.1", "redis://LOCALHOST:7000", "redis://[::1]",
                          "unix:///run/redis.sock", "redis://redis1,127.0.0.1", "no url"}) {
    config.cluster_url = url;
    EXPECT_EQ(join_command(config), "carbonio-limits cluster join redis://HOST") << url;
  }
}

}  // namespace
}  // namespace limits
