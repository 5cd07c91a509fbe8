// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/run_program.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "daemon/base/unique_fd.hpp"

namespace carbonio {
namespace {

using policyd::UniqueFd;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kMostOutput = std::size_t{4} << 20;
constexpr int kNotStarted = 127;

// In the child: only calls that are safe between fork and exec.
[[noreturn]] void become(char* const* words, int output) {
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execv(words[0], words);
  ::_exit(kNotStarted);
}

// What comes until the other side closes. An Error at the deadline or where it is too much.
policyd::Result<std::string> drain(int from, Steady::time_point deadline) {
  std::string text;
  std::array<char, 65536> part{};
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
    pollfd ready{from, POLLIN, 0};
    const int found = left > 0 ? ::poll(&ready, 1, static_cast<int>(left)) : 0;
    if (found < 0 && errno == EINTR) continue;
    if (found <= 0) return policyd::failure("it does not end");
    const ssize_t got = ::read(from, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > kMostOutput) return policyd::failure("it says too much");
  }
}

// Waits until it has ended; kills it at the deadline.
int wait_for(pid_t child, Steady::time_point deadline) {
  constexpr useconds_t kLookAgain = 2000;
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) return kNotStarted;
    if (Steady::now() >= deadline) ::kill(child, SIGKILL);
    ::usleep(kLookAgain);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

policyd::Result<ProgramOutput> run_program(const std::vector<std::string>& words,
                                           std::chrono::milliseconds deadline) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return policyd::failure(std::strerror(errno));
  UniqueFd reading{ends[0]};
  UniqueFd writing{ends[1]};
  const auto end = Steady::now() + deadline;
  // Ignored by whoever started us, it would take the child's status away.
  ::signal(SIGCHLD, SIG_DFL);
  const pid_t child = ::fork();
  if (child < 0) return policyd::failure(std::strerror(errno));
  if (child == 0) become(arguments.data(), writing.get());
  writing.reset();
  auto text = drain(reading.get(), end);
  if (!text) ::kill(child, SIGKILL);
  const int status = wait_for(child, end);
  if (!text) return policyd::failure(fmt::format("{}: {}", words[0], text.error().message));
  if (status == kNotStarted) return policyd::failure(fmt::format("cannot run {}", words[0]));
  return ProgramOutput{status, std::move(*text)};
}

}  // namespace carbonio
