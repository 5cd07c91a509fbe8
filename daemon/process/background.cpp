// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/background.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/process/thread_signals.hpp"

namespace policyd {

namespace {

// The parent's exit status: 0 once the child is ready, otherwise the child's own.
int wait_for(pid_t child, int from_child) {
  char byte = 0;
  ssize_t got = 0;
  do {
    got = ::read(from_child, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got == 1) return 0;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 2;
}

}  // namespace

Result<Background> Background::detach(std::optional<int>& parent_status) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return failure(fmt::format("cannot detach to the background: {}", std::strerror(errno)));
  }
  UniqueFd from_child{ends[0]};
  UniqueFd to_parent{ends[1]};
  const pid_t child = ::fork();
  if (child < 0) {
    return failure(fmt::format("cannot detach to the background: {}", std::strerror(errno)));
  }
  if (child > 0) {
    to_parent.reset();
    unblock_signals();
    parent_status = wait_for(child, from_child.get());
    return Background{};
  }
  ::setsid();
  static_cast<void>(!::chdir("/"));  // keep no file system busy
  ::umask(022);                      // the log must be readable, whatever our parent's umask
  Background background;
  background.to_parent_ = std::move(to_parent);
  return background;
}

void close_output() {
  const UniqueFd nothing{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nothing.get(), fd);
}

void close_inherited(int first) { ::close_range(static_cast<unsigned>(first), ~0U, 0); }

void Background::ready() {
  close_output();
  static_cast<void>(!::write(to_parent_.get(), "r", 1));
  to_parent_.reset();
}

}  // namespace policyd
