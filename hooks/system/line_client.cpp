// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/line_client.hpp"

#include <fmt/core.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "daemon/base/printable.hpp"

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;
using policyd::UniqueFd;

// Lets system calls on the socket wait until the deadline at most.
void limit_waiting(const UniqueFd& fd, Deadline deadline) {
  const auto left = std::max<std::int64_t>(
      std::chrono::ceil<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now())
          .count(),
      1);  // 0 would be for ever
  constexpr std::int64_t kSecond = 1'000'000;
  const timeval time{left / kSecond, left % kSecond};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(fd.get(), SOL_SOCKET, option, &time, sizeof time);
  }
}

}  // namespace

UniqueFd connect_to(const sockaddr* address, socklen_t size, Deadline deadline) {
  UniqueFd fd{::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!fd) return fd;
  limit_waiting(fd, deadline);
  if (::connect(fd.get(), address, size) == 0) return fd;
  // The deadline has passed: EAGAIN if the queue of a Unix socket is full.
  const int error = errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno;
  fd.reset();
  errno = error;
  return fd;
}

Result<std::string> ask_for_line(const UniqueFd& fd, std::string_view request, std::size_t max_line,
                                 Deadline deadline) {
  // Small enough for the socket's buffer, so it goes out in one piece or not at all.
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return failure("cannot send the request");
  }
  std::string text;
  std::array<char, 1024> part{};
  while (text.find('\n') == std::string::npos) {
    if (text.size() > max_line) return failure("the answer is too long");
    limit_waiting(fd, deadline);
    const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return failure("no answer in time");
    if (got < 0) return failure(std::strerror(errno));
    if (got == 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  if (text.empty()) return failure("closed the connection without an answer");
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

std::string unexpected_answer(std::string_view answer) {
  constexpr std::size_t kMaxShown = 80;
  std::string shown;
  policyd::append_printable(shown, answer, kMaxShown);
  return fmt::format("unexpected answer '{}'", shown);
}

}  // namespace carbonio
