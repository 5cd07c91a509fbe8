// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/configd.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "daemon/base/printable.hpp"
#include "daemon/base/unique_fd.hpp"

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;
using policyd::UniqueFd;
using Steady = std::chrono::steady_clock;

constexpr std::string_view kDone = "SUCCESS REWRITES COMPLETE";
constexpr std::size_t kMostAnswer = 1024;
constexpr std::size_t kMostShown = 80;

// Whether the socket is ready for `events` by the deadline.
bool ready(const UniqueFd& fd, short events, Steady::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
    pollfd waiting{fd.get(), events, 0};
    const int found = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (found < 0 && errno == EINTR) continue;
    return found > 0;
  }
}

// Not open where nobody listens; errno tells why.
UniqueFd connected(const sockaddr* address, socklen_t size, Steady::time_point deadline) {
  UniqueFd fd{::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd || ::connect(fd.get(), address, size) == 0) return fd;
  int error = errno;
  if (error == EINPROGRESS) {
    socklen_t length = sizeof error;
    if (!ready(fd, POLLOUT, deadline)) {
      error = ETIMEDOUT;
    } else if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
      error = errno;
    }
  }
  if (error != 0) fd.reset();
  errno = error;
  return fd;
}

UniqueFd connect_to_loopback(std::uint16_t port, Steady::time_point deadline) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd = connected(reinterpret_cast<const sockaddr*>(&four), sizeof four, deadline);
  if (fd || errno != ECONNREFUSED) return fd;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  fd = connected(reinterpret_cast<const sockaddr*>(&six), sizeof six, deadline);
  if (!fd) errno = ECONNREFUSED;  // a host without IPv6 says something else
  return fd;
}

Result<std::string> read_line(const UniqueFd& fd, Steady::time_point deadline) {
  std::string text;
  std::array<char, kMostAnswer> part{};
  while (text.find('\n') == std::string::npos) {
    if (text.size() > kMostAnswer) return failure("it answers with more than a line");
    if (!ready(fd, POLLIN, deadline)) return failure("it does not answer in time");
    const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return failure(std::strerror(errno));
    if (got == 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  if (text.empty()) return failure("it closes the connection without an answer");
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r') text.pop_back();
  return text;
}

}  // namespace

Result<Rewriting> ask_to_rewrite(std::uint16_t port, std::string_view sections,
                                 std::chrono::milliseconds within) {
  const auto deadline = Steady::now() + within;
  const auto wrong = [&](std::string_view why) {
    return failure(fmt::format("configd, port {}: {}", port, why));
  };
  const UniqueFd fd = connect_to_loopback(port, deadline);
  if (!fd && errno == ECONNREFUSED) return Rewriting::nobody_there;
  if (!fd) return wrong(std::strerror(errno));
  const std::string line = fmt::format("REWRITE {}\n", sections);
  if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return wrong("it takes no request");
  }
  const auto answer = read_line(fd, deadline);
  if (!answer) return wrong(answer.error().message);
  if (*answer == kDone) return Rewriting::asked;
  std::string shown;
  policyd::append_printable(shown, *answer, kMostShown);
  return wrong(fmt::format("it answers '{}'", shown));
}

}  // namespace carbonio
