// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/config.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "daemon/config/ini.hpp"
#include "daemon/config/module_table.hpp"

namespace policyd {
namespace {

Result<LoadedConfig> parse(const std::string& main, const std::string& ours = "") {
  return parse_config(main, "cbpolicyd.conf", ours, "carbonio-limits.conf");
}

LoadedConfig parsed(const std::string& main, const std::string& ours = "") {
  auto loaded = parse(main, ours);
  EXPECT_TRUE(loaded) << loaded.error().message;
  return loaded.value_or(LoadedConfig{});
}

std::string warnings_of(const std::string& main, const std::string& ours = "") {
  std::string all;
  for (const auto& warning : parsed(main, ours).warnings) all += warning + "\n";
  return all;
}

std::string generated_file() {
  std::ifstream file(std::string(TEST_DATA_DIR) + "/cbpolicyd.conf");
  return {std::istreambuf_iterator<char>(file), {}};
}

// What Carbonio generates.

TEST(GeneratedConfig, IsReadCompletely) {
  Config expected;
  expected.user = "zextras";
  expected.group = "zextras";
  expected.log_level = 3;
  expected.log_file = "/opt/zextras/log/cbpolicyd.log";
  expected.log_modules = true;
  expected.host = "localhost";
  expected.database = "/opt/zextras/data/cbpolicyd/db/cbpolicyd.sqlitedb";
  expected.quotas = true;
  EXPECT_EQ(parsed(generated_file()).config, expected);
}

TEST(GeneratedConfig, GetsOneNotice) {
  EXPECT_EQ(warnings_of(generated_file()), "");
  EXPECT_EQ(
      parsed(generated_file()).notices,
      std::vector<std::string>{
          "cbpolicyd.conf:2: Bizanga in protocols and Amavis in modules are not supported and "
          "ignored; Carbonio's standard file lists both, so no action is needed"});
}

TEST(GeneratedConfig, IsReadInAnyCaseAndWithCrLf) {
  std::string text;
  for (const char c : generated_file()) {
    if (c == '\n') text += '\r';
    text += c;
  }
  EXPECT_EQ(parsed(text).config, parsed(generated_file()).config);
  EXPECT_EQ(parsed("[SERVER]\nLOG_LEVEL=4\n[qUOTAS]\nEnable=1\n").config,
            parsed("[server]\nlog_level=4\n[Quotas]\nenable=1\n").config);
}

// The list of modules.

TEST(ConfigModules, RunIfListedAndEnabled) {
  const auto loaded = parsed("[server]\nmodules=Core, quotas\n[Quotas]\nenable=1\n");
  EXPECT_TRUE(loaded.config.quotas);
  EXPECT_TRUE(loaded.warnings.empty());
}

TEST(ConfigModules, OfTheTableCanAllBeEnabled) {
  for (const ModuleInfo& module : kModules) {
    EXPECT_FALSE(parsed("").config.*module.in_config) << module.name;
    const auto text = "[" + std::string(module.name) + "]\nenable=1\n";
    EXPECT_TRUE(parsed(text).config.*module.in_config) << module.name;
    EXPECT_EQ(warnings_of(text), "");
  }
}

TEST(ConfigModules, DoNotRunIfOnlyListed) {
  EXPECT_FALSE(parsed("[server]\nmodules=Quotas\n").config.quotas);
}

TEST(ConfigModules, DoNotRunIfOnlyEnabledWhichIsAWarning) {
  const std::string text = "[server]\nmodules=Core\n[Quotas]\nenable=1\n";
  EXPECT_FALSE(parsed(text).config.quotas);
  EXPECT_EQ(warnings_of(text),
            "cbpolicyd.conf:4: Quotas is enabled but does not run: modules in [server] "
            "(cbpolicyd.conf:2) does not list it\n");
}

TEST(ConfigModules, DoNotRunWithAnEmptyList) {
  EXPECT_FALSE(parsed("[server]\nmodules=\n[Quotas]\nenable=1\n").config.quotas);
}

TEST(ConfigModules, AreCollectedFromRepeatedKeys) {
  const auto loaded = parsed(
      "[server]\nmodules=Core\nmodules=Quotas\n[Quotas]\nenable=1\n[SERVER]\nmodules=CheckHelo\n"
      "[CheckHelo]\nenable=1\n");
  EXPECT_TRUE(loaded.config.quotas);
  EXPECT_TRUE(loaded.config.check_helo);
  EXPECT_TRUE(loaded.warnings.empty());
}

// Warnings.

struct Warns {
  const char* name;
  std::string text;
  std::string warning;
};

class ConfigWarns : public testing::TestWithParam<Warns> {};

TEST_P(ConfigWarns, WithFileAndLine) {
  EXPECT_EQ(warnings_of(GetParam().text), "cbpolicyd.conf:" + GetParam().warning + "\n");
}

INSTANTIATE_TEST_SUITE_P(
    Config, ConfigWarns,
    testing::Values(
        Warns{"UnknownKey", "[server]\nlog_levle=3\n",
              "2: unknown key 'log_levle' in [server], did you mean 'log_level'?"},
        Warns{"UnknownKeyOfNoOne", "[server]\nfrobnicate=3\n",
              "2: unknown key 'frobnicate' in [server]"},
        Warns{"KeyOfAnotherSection", "[server]\nAlgorithm=decay\n",
              "2: unknown key 'Algorithm' in [server]; it belongs in [Quotas]"},
        Warns{"UnknownSection", "[Quota]\nenable=1\n",
              "1: unknown section 'Quota', did you mean 'Quotas'?"},
        Warns{"UnknownSectionOfNoOne", "[weather]\n", "1: unknown section 'weather'"},
        Warns{"UnknownModule", "[server]\nmodules=Quota\n",
              "2: unknown name 'Quota' in modules, did you mean 'Quotas'?"},
        Warns{"UnknownProtocol", "[server]\nprotocols=Exim\n",
              "2: unknown name 'Exim' in protocols"},
        Warns{
            "Repeated", "[server]\nport=1\n[x]\n[server]\nPort=2\n",
            "3: unknown section 'x'\ncbpolicyd.conf:5: port in [server] is already set in line 2; "
            "the last value counts"},
        Warns{"EmptyNumber", "[server]\nport=\n",
              "2: port in [server] has no value and is ignored"},
        Warns{"NotTrue", "[Quotas]\nenable=true\n",
              "2: enable in [Quotas]: 'true' is not a boolean; treating it as 0"},
        Warns{"TrueWithComment", "[Quotas]\nenable=1 # on\n",
              "2: enable in [Quotas]: '1 # on' is not a boolean; treating it as 0"},
        Warns{"LogMailInet", "[server]\nlog_mail=mail@syslog:inet\n",
              "2: log_mail in [server]: 'mail@syslog:inet' is not supported; mail is logged to the "
              "system log; allowed: main or mail@syslog:native (maillog is the same)"},
        Warns{"LogMailElsewhere", "[server]\nlog_mail=elsewhere\n",
              "2: log_mail in [server]: 'elsewhere' is not supported; mail is logged to log_file; "
              "allowed: main or mail@syslog:native (maillog is the same)"},
        Warns{"AmavisEnabled", "[Amavis]\nenable=1\n",
              "2: Amavis is enabled but not supported: the rows of amavis_rules have no effect"}),
    [](const auto& row) { return row.param.name; });

TEST(Config, TakesTheLastOfRepeatedKeys) {
  EXPECT_EQ(parsed("[server]\nport=1\nport=2\n").config.port, "2");
}

TEST(Config, GivesAtMostAHundredWarnings) {
  std::string text = "[server]\n";
  while (text.size() + 9 < kMaxIniBytes) text += "unknow=1\n";
  EXPECT_EQ(parsed(text).warnings.size(), 100U);
}

// Two files.

TEST(Config, LetsOurFileOverrideSilently) {
  const auto loaded = parsed("[server]\nlog_level=1\ncidr_allow=10\n[Quotas]\nalgorithm=window\n",
                             "[server]\nlog_level=4\ncidr_allow=11\n[Quotas]\nalgorithm=decay\n");
  EXPECT_EQ(loaded.config.log_level, 4);
  EXPECT_EQ(loaded.config.cidr_allow, std::vector<std::string>{"11"});
  EXPECT_EQ(loaded.config.quotas_algorithm, Algorithm::decay);
  EXPECT_TRUE(loaded.warnings.empty());
}

TEST(Config, SurvivesTruncatedFilesAndArbitraryBytes) {
  const std::string whole = generated_file();
  for (std::size_t i = 0; i <= whole.size(); ++i) {
    (void)parse(whole.substr(0, i));
    std::string changed = whole;
    for (const char byte : {'\x01', '\xff', '=', '\n', '['}) {
      if (i < whole.size()) changed[i] = byte;
      (void)parse(changed);
    }
  }
}

// Files.

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "config_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  static std::string error(const std::filesystem::path& file) {
    const auto loaded = load_config(file);
    return loaded ? "" : loaded.error().message;
  }

  std::filesystem::path folder_;
};

TEST_F(ConfigFile, IsReadWithoutOurFile) {
  const auto loaded = load_config(write("cbpolicyd.conf", "[server]\nport=25\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.port, "25");
}

TEST_F(ConfigFile, IsReadTogetherWithOurFile) {
  write("carbonio-limits.conf", "[Quotas]\nalgorithm=decay\nx=y\n");
  const auto loaded = load_config(write("cbpolicyd.conf", "[server]\nport=25\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->config.port, "25");
  EXPECT_EQ(loaded->config.quotas_algorithm, Algorithm::decay);
  ASSERT_EQ(loaded->warnings.size(), 1U);
  EXPECT_EQ(loaded->warnings[0],
            (folder_ / "carbonio-limits.conf").string() + ":3: unknown key 'x' in [Quotas]");
}

TEST_F(ConfigFile, MissingIsReportedInOneLineWithAdvice) {
  EXPECT_EQ(error(folder_ / "cbpolicyd.conf"),
            "cannot read " + (folder_ / "cbpolicyd.conf").string() +
                ": No such file or directory; name the file with --config; on Carbonio enable "
                "the service cbpolicyd, which creates it");
}

TEST_F(ConfigFile, AFolderIsRejected) {
  EXPECT_EQ(error(folder_),
            "cannot read " + folder_.string() +
                ": it is a folder; name the configuration file itself with --config");
}

TEST_F(ConfigFile, APipeIsRejectedWithoutWaiting) {
  const auto pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error(pipe), "cannot read " + pipe.string() +
                             ": it is not a regular file; name the configuration file itself with "
                             "--config");
}

TEST_F(ConfigFile, OurFileBeingAFolderIsAnError) {
  std::filesystem::create_directory(folder_ / "carbonio-limits.conf");
  EXPECT_NE(error(write("cbpolicyd.conf", "")).find("carbonio-limits.conf: it is a folder"),
            std::string::npos);
}

TEST_F(ConfigFile, LargerThanOneMebibyteIsAnError) {
  const auto file = write("cbpolicyd.conf", std::string(kMaxIniBytes, '\n'));
  EXPECT_EQ(error(file), "");
  EXPECT_EQ(error(write("cbpolicyd.conf", std::string(kMaxIniBytes + 1, '\n'))),
            "cannot read " + file.string() +
                ": it is larger than 1048576 bytes; check the file and its folder");
}

TEST_F(ConfigFile, UnreadableIsReportedWithTheRequiredUser) {
  const auto file = write("cbpolicyd.conf", "");
  ASSERT_EQ(chmod(file.c_str(), 0), 0);
  ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
  const uid_t before = geteuid();
  if (before == 0) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const std::string message = error(file);
  if (before == 0) {
    ASSERT_EQ(seteuid(before), 0);
  }
  EXPECT_EQ(message,
            "cannot read " + file.string() + ": Permission denied; run this as zextras or root");
}

}  // namespace
}  // namespace policyd
