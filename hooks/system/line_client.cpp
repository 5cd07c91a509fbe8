// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/line_client.hpp"

#include <fmt/core.h>
#include <poll.h>

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

// Whether the socket is ready for `events` by the deadline.
bool ready(const UniqueFd& fd, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
            .count();
    pollfd waiting{fd.get(), events, 0};
    const int found = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (found < 0 && errno == EINTR) continue;
    return found > 0;
  }
}

}  // namespace

UniqueFd connect_to(const sockaddr* address, socklen_t size, Deadline deadline) {
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
    if (!ready(fd, POLLIN, deadline)) return failure("no answer in time");
    const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
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
