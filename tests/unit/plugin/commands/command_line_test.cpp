// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iomanip>
#include <random>
#include <sstream>

#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

Ran run(const Words& words) {
  Environment environment;
  environment.zextras_home = "/nowhere";
  environment.now = policyd::TimePoint{policyd::Millis{1'700'000'000'000}};
  std::ostringstream out;
  std::ostringstream err;
  const int status = run_command_line(words, environment, out, err);
  return {status, out.str(), err.str()};
}

std::vector<WantedLimit> wanted(const Words& words) {
  const auto line = parse_command_line(words);
  EXPECT_TRUE(line) << (line ? "" : line.error().message);
  const auto limits = wanted_limits(words.front() == "send" ? Direction::send : Direction::receive,
                                    line->arguments);
  EXPECT_TRUE(limits) << (limits ? "" : limits.error().message);
  return limits.value_or(std::vector<WantedLimit>{});
}

TEST(CommandLine, WrongUseIsOneLineAndExitOne) {
  const std::vector<Words> table = {
      {},
      {""},
      {"sned", "100/h"},
      {"SEND", "100/h"},
      {"--force"},
      {"-x"},
      {"send"},
      {"send", ""},
      {"send", "ten/min"},
      {"send", "0/h"},
      {"send", "10/0s"},
      {"send", "100/h", "100/h"},
      {"send", "100/h", "alice@example.org"},
      {"send", "100/h", "--dry"},  // options are not guessed
      {"send", "100/h", "--dry-run=yes"},
      {"send", "100/h", "--force"},
      {"send", "100/h", "--json"},
      {"send", "100/h", "--user"},
      {"send", "100/h", "--user="},
      {"send", "100/h", "--user", "alice"},
      {"send", "100/h", "--user", "a@x,b@x"},
      {"send", "100/h", "--user", "*@example.org"},
      {"send", "100/h", "--user", "a\n@example.org"},
      {"send", "100/h", "--user", "'; DROP TABLE quotas; --"},
      {"send", "100/h", "--domain", "%internal_domains"},
      {"send", "100/h", "--domain", std::string(300, 'a')},
      {"send", "100/h", "--domain", "a b"},
      {"send", "--domain", "100/h"},
      {"send", "100/h", "--everyone", "--anyone"},
      {"send", "100/h", "--everyone", "--domain", "example.org"},
      {"send", "100/h", "--anyone", "--client", "192.0.2.1"},
      {"send", "100/h", "--per", "mail"},
      {"send", "100/h", "--per", ""},
      {"send", "100/h", "--per", "user", "--per", "domain"},
      {"send", "100/h", "--verdict", "refuse"},
      {"send", "100/h", "--verdict", "FILTER"},
      {"send", "100/h", "--message", "{usd} of {limit}"},
      {"send", "100/h", "--message", "a\nb"},
      {"send", "100/h", "--message", "a\rb"},
      {"send", "100/h", "--message", "\xff"},
      {"send", "100/h", "--message", std::string(401, 'a')},
      {"send", "100/h", "--verdict", "none", "--message", "x"},
      {"send", "100/h", "--name", ""},
      {"send", "100/h", "--name", std::string(201, 'a')},
      {"send", "100/h", "--name", "x", "--domain", "a.org", "b.org"},
      {"receive", "100/h", "--per", "account"},
      {"send", "100/h", "--client", "10"},
      {"send", "100/h", "--client", "10.0.0.1/8"},
      {"send", "100/h", "--client", "::ffff:192.0.2.1"},
      {"send", "100/h", "--client", "192.0.2.1/33"},
      {"send", "100/h", "--group", "internal_domains"},
      {"send", "100/h", "--group", "a,b"},
      {"send", "100/h", "--group", ""},
      {"send", "100/h", "--except"},
      {"send", "100/h", "--except", "a b"},
      {"send", "100/h", "--client", "10.0.0.1", "--everyone"},
      {"show"},
      {"show", "x"},
      {"show", "1", "2"},
      {"set"},
      {"set", "3"},
      {"set", "x", "100/h"},
      {"set", "3", "100"},
      {"on"},
      {"off", "0"},
      {"off", "-1"},
      {"remove"},
      {"remove", "99999999999999999999"},
      {"export", "a", "b"},
      {"import"},
      {"import", "a", "b"},
      {"reset"},
      {"reset", ""},
      {"reset", "--limit", "x"},
      {"backup", "a", "b"},
      {"restore"},
      {"restore", ""},
      {"usage", "--watch", "--json"},
      {"completion", "zsh"},
      {"init", "file"},
      {"init", "-f"},
      {"list", "all"},
      {"list", "--database"},
      {"list", "--database="},
      {"list", "--database", "a", "--database", "b"},
      {"usage", "a@x", "b@x"},
      {"usage", ""},
      {"usage", "--top"},
      {"usage", "--top", "0"},
      {"usage", "--top", "-1"},
      {"usage", "--top", "1x"},
      {"usage", "--top", "99999999999999999999"},
      {"usage", "--top", ""},
  };
  for (const Words& words : table) {
    const Ran ran = run(words);
    std::string shown_words;
    for (const std::string& word : words) shown_words += " '" + shown(word) + "'";
    EXPECT_EQ(ran.status, 1) << shown_words << ": " << ran.err;
    EXPECT_EQ(ran.out, "") << shown_words;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << shown_words << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("carbonio-limits: ")) << shown_words;
    EXPECT_LT(ran.err.size(), 400U) << shown_words << ran.err;
  }
}

TEST(CommandLine, SuggestsWhatWasMeant) {
  EXPECT_THAT(run({"useage"}).err,
              HasSubstr("unknown subcommand 'useage' (did you mean 'usage'?); see"));
  EXPECT_THAT(run({"limit", "100/h"}).err, HasSubstr("(did you mean 'send'?)"));
  EXPECT_THAT(run({"list", "--jsno"}).err,
              HasSubstr("unknown option '--jsno' (did you mean '--json'?); see"));
  EXPECT_THAT(run({"list", "--xyzzy"}).err, HasSubstr("unknown option '--xyzzy';"));
  EXPECT_THAT(run({"send", "1/h", "-q"}).err, HasSubstr("unknown option '-q'"));
}

TEST(CommandLine, MissingDatabaseIsNamedWithTheFix) {
  for (const Words& words : {Words{"list"}, Words{"usage"}, Words{"send", "1/h"}}) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, 2);
    EXPECT_EQ(
        ran.err,
        "carbonio-limits: there is no database /nowhere/data/cbpolicyd/db/cbpolicyd.sqlitedb; "
        "create one with 'carbonio-limits init', or set ZEXTRAS_HOME if it is elsewhere\n");
  }
}

TEST(CommandLine, HelpAndVersion) {
  EXPECT_THAT(run({"--version"}).out, testing::MatchesRegex("carbonio-limits [0-9.]+\n"));
  for (const Words& words : {Words{"--help"}, Words{"-h"}, Words{"help"}}) {
    const Ran ran = run(words);
    EXPECT_EQ(ran.status, 0);
    for (const Command* command : all_commands()) {
      EXPECT_THAT(ran.out, HasSubstr("\n  " + std::string{command->name} + " "));
    }
  }
  for (const Command* command : all_commands()) {
    const Ran ran = run({std::string{command->name}, "--help"});
    EXPECT_EQ(ran.status, 0);
    EXPECT_EQ(run({"help", std::string{command->name}}).out, ran.out);
    EXPECT_THAT(ran.out, HasSubstr("\nExamples:\n  carbonio-limits "));
    EXPECT_EQ(ran.out.find("--database FILE") != std::string::npos, command->takes_database);
    for (const Option& option : command->options) {
      EXPECT_THAT(ran.out, HasSubstr("\n  --" + std::string{option.name}));
    }
    std::istringstream lines{ran.out};
    for (std::string line; std::getline(lines, line);) {
      const bool example =
          line.substr(0, 18) == "  carbonio-limits " || line.substr(0, 6) == "Usage:";
      EXPECT_TRUE(example || width_of(line) <= 80) << line;
    }
  }
}

// The examples in the help are true.
TEST(CommandLine, ExamplesParse) {
  for (const Command* command : all_commands()) {
    for (const std::string_view example : split(command->examples, '\n')) {
      Words words;
      std::istringstream in{std::string{example.substr(0, example.find("  "))}};
      for (std::string word; in >> std::quoted(word, '\'');) words.push_back(word);
      const auto line = parse_command_line(words);
      ASSERT_TRUE(line) << example << ": " << line.error().message;
      EXPECT_EQ(line->command, command);
      if (command->name == "send" || command->name == "receive") {
        EXPECT_FALSE(wanted(words).empty()) << example;
      }
    }
  }
}

TEST(CommandLine, OptionsMayPrecedeTheSubcommand) {
  const auto line =
      parse_command_line(Words{"--database", "send", "--zextras-home=/z", "list", "--json"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->command->name, "list");
  EXPECT_EQ(line->arguments.value("database"), "send");
  EXPECT_EQ(line->zextras_home, "/z");
  EXPECT_TRUE(line->arguments.has("json"));
}

TEST(CommandLine, InitTakesForceWithOneDash) {
  const auto line = parse_command_line(Words{"init", "-force"});
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->arguments.has("force"));
}

TEST(CommandLine, SeveralTargetsAreSeveralLimits) {
  const auto limits = wanted({"send", "20/min", "200/h", "--domain", "a.org", "@B.org", "--user",
                              "x@a.org", "--domain", "c.org", "--domain", "a.org"});
  std::vector<std::string> targets;
  for (const WantedLimit& limit : limits) targets.push_back(name_of(limit.target));
  EXPECT_THAT(targets, ElementsAre("a.org", "b.org", "c.org", "x@a.org"));
  EXPECT_EQ(format_limit(limits.front().rates), "20/min,200/h");
}

TEST(CommandLine, LimitAfterTheTargetsIsStillTheLimit) {
  const auto limits = wanted({"send", "--user", "a/b@x.org", "c@x.org", "100/h"});
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(format_limit(limits.front().rates), "100/h");
}

TEST(CommandLine, DefaultsAreTheDocumentedOnes) {
  const WantedLimit send = wanted({"send", "100/h"}).at(0);
  EXPECT_EQ(send.target.who, Who::everyone);
  EXPECT_EQ(send.per, Per::user);
  EXPECT_EQ(send.verdict, policyd::Action::defer);
  const WantedLimit receive = wanted({"receive", "100/h"}).at(0);
  EXPECT_EQ(receive.target.who, Who::everyone);
  EXPECT_EQ(receive.per, Per::domain);
  EXPECT_EQ(receive.verdict, policyd::Action::reject);
  EXPECT_EQ(wanted({"send", "1/h", "--verdict", "none"}).at(0).verdict, std::nullopt);
}

TEST(CommandLine, RandomArgumentsAreRefusedOrDone) {
  const Words pieces = {
      "send",  "receive", "list",    "usage",  "init",     "--",     "-",     "--user", "100/h",
      "--per", "user",    "a@b.c",   "--json", "\xff\xfe", "-force", "--top", "--help", "--message",
      "=",     "\n",      "--user=", "--=x",   "-hV",      "@",      "/"};
  std::mt19937 random{3};  // NOLINT: the same lines each time
  for (int i = 0; i < 20'000; ++i) {
    Words words = {"--zextras-home", "/dev/null"};  // nothing can be created below it
    for (auto n = random() % 6; n > 0; --n) words.push_back(pieces[random() % pieces.size()]);
    const Ran ran = run(words);
    EXPECT_TRUE(ran.status == 0 || std::count(ran.err.begin(), ran.err.end(), '\n') == 1)
        << ran.err;
    EXPECT_LE(ran.status, 2);
  }
}

}  // namespace
}  // namespace limits
