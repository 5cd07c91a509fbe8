// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/localconfig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace carbonio {
namespace {

using testing::HasSubstr;
using testing::Not;

policyd::Result<LocalConfig> parse(const std::string& inside) {
  return LocalConfig::parse(
      "<?xml version=\"1.0\"?>\n<localconfig>\n" + inside + "</localconfig>\n", "localconfig.xml",
      "/opt/zextras");
}

std::string key(const std::string& name, const std::string& value) {
  return "<key name=\"" + name + "\"><value>" + value + "</value></key>\n";
}

TEST(LocalConfig, ValuesEntitiesAndComments) {
  const auto config =
      parse("<!-- <key name=\"a\"><value>no</value></key> -->\n" +
            key("a", "x &lt;&amp;&#65;&gt;") + key("b", "one<!-- no -->") + key("b", "two") +
            key("empty", "") + "<key><value>nameless</value></key><key name=\"bare\"/>\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->need("a"), "x <&A>");
  EXPECT_EQ(config->need("b"), "two");
  EXPECT_EQ(config->find("empty"), std::nullopt);
  EXPECT_EQ(config->find("bare"), std::nullopt);
  EXPECT_EQ(config->find("unknown"), std::nullopt);
  EXPECT_THAT(config->need("unknown").error().message, HasSubstr("key unknown is missing"));
}

TEST(LocalConfig, HasDefaults) {
  const LocalConfig defaults{"/srv/z"};
  EXPECT_EQ(defaults.need("zimbra_home"), "/srv/z");
  EXPECT_EQ(defaults.need_port("zmconfigd_listen_port"), 7171);
}

TEST(LocalConfig, ExpandsTenTimesAndNoMore) {
  std::string chain = key("k0", "end");
  for (int i = 1; i <= 11; ++i) {
    chain += key("k" + std::to_string(i), "${k" + std::to_string(i - 1) + "}");
  }
  const auto config = parse(chain + key("two", "${k0}-${k1}") + key("open", "a${b") +
                            key("self", "x${self}") + key("gone", "${nowhere}"));
  EXPECT_EQ(config->need("k10"), "end");
  EXPECT_THAT(config->need("k11").error().message, HasSubstr("after ten expansions"));
  EXPECT_EQ(config->need("two"), "end-end");
  EXPECT_EQ(config->need("open"), "a${b");
  EXPECT_FALSE(config->need("self"));
  EXPECT_THAT(config->need("gone").error().message, HasSubstr("a missing key"));
}

TEST(LocalConfig, GrowthIsBounded) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "${grow}${grow}";
  const auto config = parse(key("grow", many));
  EXPECT_THAT(config->need("grow").error().message, HasSubstr("64 KiB"));
}

TEST(LocalConfig, PortsAreChecked) {
  for (const std::string wrong : {"0", "65536", "71x", "-1", "x"}) {
    EXPECT_FALSE(parse(key("p", wrong))->need_port("p")) << wrong;
  }
  EXPECT_EQ(parse(key("p", "65535"))->need_port("p"), 65535);
}

TEST(LocalConfig, NoValueIsEverInAMessage) {
  const std::string secret = "S3cret";
  const auto config = parse(key("ldap_password", secret + "${" + secret + "}") + key("p", secret));
  for (const auto& message :
       {config->need("ldap_password").error().message, config->need_port("p").error().message}) {
    EXPECT_THAT(message, Not(HasSubstr(secret)));
  }
  const auto broken = parse("<key name=\"ldap_password\"><value>" + secret + "</valeu></key>");
  EXPECT_THAT(broken.error().message, HasSubstr("localconfig.xml:3: broken XML"));
  EXPECT_THAT(broken.error().message, Not(HasSubstr(secret)));
}

TEST(LocalConfig, MissingEmptyForeignAndTooLargeFiles) {
  std::string name = testing::TempDir() + "localconfig-XXXXXX";
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path home = name;
  std::filesystem::create_directory(home / "conf");
  const auto write = [&](const std::string& text) {
    std::ofstream{home / "conf" / "localconfig.xml"} << text;
    return LocalConfig::load(home);
  };
  EXPECT_THAT(LocalConfig::load(home).error().message, HasSubstr("No such file"));
  EXPECT_FALSE(write(""));
  EXPECT_THAT(write("<other/>").error().message, HasSubstr("no element <localconfig>"));
  EXPECT_THAT(write(std::string((1 << 20) + 1, ' ')).error().message, HasSubstr("larger than"));
  EXPECT_EQ(write("<localconfig>" + key("a", "b") + "</localconfig>")->need("a"), "b");
  std::filesystem::remove_all(home);
}

}  // namespace
}  // namespace carbonio
