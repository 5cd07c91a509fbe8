// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/configd.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "daemon/base/result.hpp"
#include "hooks/system/line_client.hpp"
#include "hooks/system/wait_until.hpp"

namespace carbonio {
namespace {

using policyd::failure;
using policyd::Result;
using policyd::UniqueFd;

constexpr std::string_view kDone = "SUCCESS REWRITES COMPLETE";
constexpr std::size_t kMaxAnswer = 1024;

UniqueFd connect_to_loopback(std::uint16_t port, Deadline deadline) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd fd = connect_to(reinterpret_cast<const sockaddr*>(&four), sizeof four, deadline);
  if (fd || errno != ECONNREFUSED) return fd;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  six.sin6_addr = in6addr_loopback;
  fd = connect_to(reinterpret_cast<const sockaddr*>(&six), sizeof six, deadline);
  if (!fd) errno = ECONNREFUSED;  // a host without IPv6 gives another error
  return fd;
}

enum class RewriteRequest : std::uint8_t { accepted, not_running };

// `not_running` if the port is closed. An Error if the answer is not success, or does not come in
// time.
Result<RewriteRequest> request_rewrite(std::uint16_t port, std::string_view sections,
                                       std::chrono::milliseconds within) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  const auto wrong = [&](std::string_view why) {
    return failure(fmt::format("configd, port {}: {}", port, why));
  };
  const UniqueFd fd = connect_to_loopback(port, deadline);
  if (!fd && errno == ECONNREFUSED) return RewriteRequest::not_running;
  if (!fd) return wrong(std::strerror(errno));
  const auto answer = ask_for_line(fd, fmt::format("REWRITE {}\n", sections), kMaxAnswer, deadline);
  if (!answer) return wrong(answer.error().message);
  if (*answer == kDone) return RewriteRequest::accepted;
  return wrong(unexpected_answer(*answer));
}

}  // namespace

Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& took_effect) {
  constexpr std::chrono::milliseconds kInterval{200};
  Rewritten out;
  const auto request = request_rewrite(configd.port, sections, configd.within);
  if (!request) out.trouble = request.error().message;
  out.not_running = request && *request == RewriteRequest::not_running;
  const bool accepted = request && *request == RewriteRequest::accepted;
  out.took_effect =
      wait_until(accepted ? configd.within : std::chrono::seconds{0}, kInterval, took_effect);
  if (accepted && !out.took_effect) {
    out.trouble = fmt::format(
        "configd, port {}: accepted the request, but the files did not change within {} s",
        configd.port, configd.within.count());
  }
  return out;
}

}  // namespace carbonio
