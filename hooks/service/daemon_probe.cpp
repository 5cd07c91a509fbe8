// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/service/daemon_probe.hpp"

#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "hooks/system/line_client.hpp"

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;
using policyd::UniqueFd;

// The daemon answers states before RCPT without evaluating any rule.
constexpr std::string_view kRequest =
    "request=smtpd_access_policy\nprotocol_state=CONNECT\nprotocol_name=ESMTP\n"
    "client_address=127.0.0.1\nclient_name=localhost\nreverse_client_name=localhost\n"
    "instance=doctor\nsender=\nrecipient=\nhelo_name=\nsize=0\n\n";
constexpr std::size_t kMaxAnswer = 4096;

Result<UniqueFd> no_connection(std::string_view why) {
  return failure(fmt::format("no connection: {}", why));
}

Result<UniqueFd> connect_unix(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return no_connection(std::strerror(ENAMETOOLONG));
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  UniqueFd fd = connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
  if (!fd) return no_connection(std::strerror(errno));
  return fd;
}

Result<UniqueFd> connect_tcp(const std::string& host, const std::string& port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return no_connection(::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, ::freeaddrinfo};
  UniqueFd fd;
  for (const addrinfo* each = found; each != nullptr && !fd; each = each->ai_next) {
    fd = connect_to(each->ai_addr, each->ai_addrlen, deadline);
  }
  if (!fd) return no_connection(std::strerror(errno));
  return fd;
}

}  // namespace

Result<std::string> ask_listener(const policyd::Config& config, std::string_view request,
                                 std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  const std::string host = config.host.empty() || config.host == "*" ? "localhost" : config.host;
  const auto fd = config.unix_socket ? connect_unix(config.port, deadline)
                                     : connect_tcp(host, config.port, deadline);
  if (!fd) return tl::unexpected{fd.error()};
  return ask_for_line(*fd, request, kMaxAnswer, deadline);
}

Result<std::string> probe_daemon(const policyd::Config& config, std::chrono::milliseconds within) {
  auto answer = ask_listener(config, kRequest, within);
  if (answer && answer->rfind("action=", 0) != 0) return failure(unexpected_answer(*answer));
  return answer;
}

}  // namespace carbonio
