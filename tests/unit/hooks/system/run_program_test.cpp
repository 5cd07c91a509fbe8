// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/run_program.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>

#include "daemon/base/unique_fd.hpp"
#include "hooks/system/wait_until.hpp"

namespace carbonio {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Steady = std::chrono::steady_clock;

constexpr seconds kPatience{60};

// A shell script, started as any other program.
Program script(const std::string& text, milliseconds deadline = kPatience) {
  return {{"/bin/sh", "-c", text}, deadline};
}

TEST(RunProgram, ReturnsExitStatusAndPassesWordsWithoutAShell) {
  const auto done = run_program({{"/bin/echo", "a b", "$HOME;"}, kPatience});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->out, "a b $HOME;\n");
  EXPECT_EQ(done->status, 0);
  EXPECT_EQ(run_program(script("exit 3"))->status, 3);
}

TEST(RunProgram, TellsASignalFromAnExitStatus) {
  EXPECT_EQ(run_program(script("kill -9 $$"))->status, 128 + SIGKILL);
  EXPECT_EQ(run_program(script("exit 9"))->status, 9);
}

TEST(RunProgram, KeepsStandardErrorSeparate) {
  const auto done = run_program(script("echo out; echo err >&2"));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->out, "out\n");
  EXPECT_EQ(done->err, "err\n");
}

TEST(RunProgram, WritesStandardInputAndThenClosesIt) {
  Program cat{{"/bin/cat"}, kPatience};
  EXPECT_EQ(run_program(cat)->out, "");
  cat.input = std::string(1'000'000, 'x');  // more than a pipe holds
  EXPECT_EQ(run_program(cat)->out, cat.input);
}

TEST(RunProgram, SurvivesAProgramThatDoesNotReadItsInput) {
  Program program = script("exit 0");
  program.input = std::string(1'000'000, 'x');
  const auto done = run_program(program);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->status, 0);
}

TEST(RunProgram, AddsToTheEnvironment) {
  Program program = script("echo $GREETING; test -n \"$PATH\"");
  program.environment = {{"GREETING", "hello"}};
  const auto done = run_program(program);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->out, "hello\n");
  EXPECT_EQ(done->status, 0) << "the rest of the environment stays";
}

TEST(RunProgram, KillsTheWholeGroupAtTheDeadline) {
  const auto before = Steady::now();
  const auto done = run_program(script("sleep 60 & sleep 60; echo late", milliseconds{50}));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "timed out after 0.05 s; killed");
  EXPECT_LT(Steady::now() - before, seconds{20});
}

TEST(RunProgram, KillsWhatPrintsTooMuch) {
  const auto done = run_program({{"/usr/bin/yes"}, kPatience});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "produced more than 4 MiB of output; killed");

  Program program = script("printf 123456789");
  program.max_output = 9;
  EXPECT_EQ(run_program(program)->out, "123456789");
  program.max_output = 8;
  EXPECT_EQ(run_program(program).error().message, "produced more than 8 bytes of output; killed");
}

TEST(RunProgram, IsNotHeldUpByAGrandchildThatKeepsThePipes) {
  const auto before = Steady::now();
  const auto done = run_program(script("sleep 60 & echo done"));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->out, "done\n");
  EXPECT_LT(Steady::now() - before, seconds{20});
}

TEST(RunProgram, KillsGrandchildrenInTheGroupButNotADaemonInItsOwnSession) {
  const auto done = run_program(
      script("sleep 61 >/dev/null 2>&1 & echo $!; setsid sleep 62 >/dev/null 2>&1 & echo $!; "
             "sleep 0.2"));
  ASSERT_TRUE(done) << done.error().message;
  const auto line_end = done->out.find('\n');
  const pid_t in_group = std::stoi(done->out.substr(0, line_end));
  const pid_t daemon = std::stoi(done->out.substr(line_end + 1));
  EXPECT_EQ(::kill(daemon, SIGKILL), 0);
  // It dies in a moment; init may not have reaped it yet.
  const std::string state =
      "sed 's/.*) //; s/ .*//' /proc/" + std::to_string(in_group) + "/stat 2>/dev/null";
  EXPECT_TRUE(wait_until(kPatience, milliseconds{10}, [&] {
    const std::string now = run_program(script(state))->out;
    return now.empty() || now == "Z\n";
  }));
}

TEST(RunProgram, ReportsAMissingProgram) {
  const auto done = run_program({{"/nowhere/program"}, kPatience});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "cannot be started: No such file or directory");
}

TEST(RunProgram, PassesNoDescriptors) {
  const policyd::UniqueFd low{::open("/dev/null", O_RDONLY)};  // inheritable
  const policyd::UniqueFd high{::fcntl(low.get(), F_DUPFD, 200)};
  const auto done = run_program({{"/bin/ls", "/proc/self/fd"}, kPatience});
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->out, "0\n1\n2\n3\n") << "3 is the folder itself";
}

TEST(RunProgram, KnowsTheStatusThoughTheCallerIgnoresChildren) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGCHLD, &ignore, &before);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(run_program(script("exit 7"))->status, 7);
  struct sigaction after {};
  sigaction(SIGCHLD, &before, &after);
  EXPECT_EQ(after.sa_handler, SIG_IGN) << "restored";
}

}  // namespace
}  // namespace carbonio
