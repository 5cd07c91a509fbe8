// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/daemon_probe.hpp"

#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "daemon/base/printable.hpp"
#include "daemon/base/unique_fd.hpp"

namespace carbonio {
namespace {

using policyd::UniqueFd;

// States before RCPT are answered without being looked at.
constexpr std::string_view kQuestion =
    "request=smtpd_access_policy\nprotocol_state=CONNECT\nprotocol_name=ESMTP\n"
    "client_address=127.0.0.1\nclient_name=localhost\nreverse_client_name=localhost\n"
    "instance=doctor\nsender=\nrecipient=\nhelo_name=\nsize=0\n\n";
constexpr std::size_t kMostAnswer = 4096;

UniqueFd connected(int family, const sockaddr* address, socklen_t length, timeval limit) {
  UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  // The time limit for sending holds for connecting, too.
  for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    ::setsockopt(fd.get(), SOL_SOCKET, direction, &limit, sizeof limit);
  }
  if (fd && ::connect(fd.get(), address, length) != 0) fd.reset();
  return fd;
}

UniqueFd connect_unix(const std::string& path, timeval limit) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return {};
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  return connected(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address, limit);
}

UniqueFd connect_tcp(const std::string& host, const std::string& port, timeval limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, ::freeaddrinfo};
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    UniqueFd fd = connected(each->ai_family, each->ai_addr, each->ai_addrlen, limit);
    if (fd) return fd;
  }
  return {};
}

}  // namespace

policyd::Result<std::string> ask_daemon(const policyd::Config& config,
                                        std::chrono::milliseconds deadline) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(deadline);
  timeval limit{};
  limit.tv_sec = seconds.count();
  limit.tv_usec = std::chrono::microseconds{deadline - seconds}.count();
  const std::string host = config.host.empty() || config.host == "*" ? "localhost" : config.host;
  const UniqueFd fd =
      config.unix_socket ? connect_unix(config.port, limit) : connect_tcp(host, config.port, limit);
  if (!fd) return policyd::failure(fmt::format("no connection: {}", std::strerror(errno)));
  const auto sent = ::send(fd.get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(kQuestion.size())) {
    return policyd::failure("it takes no question");
  }
  std::string answer;
  std::array<char, 512> part{};
  while (answer.find('\n') == std::string::npos && answer.size() < kMostAnswer) {
    const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return policyd::failure(got == 0 ? "it closes the connection instead of answering"
                                       : "it does not answer in time");
    }
    answer.append(part.data(), static_cast<std::size_t>(got));
  }
  answer = answer.substr(0, answer.find('\n'));
  if (answer.rfind("action=", 0) != 0) {
    constexpr std::size_t kMostShown = 80;
    std::string shown;
    policyd::append_printable(shown, answer, kMostShown);
    return policyd::failure(fmt::format("it answers '{}'", shown));
  }
  return answer;
}

}  // namespace carbonio
