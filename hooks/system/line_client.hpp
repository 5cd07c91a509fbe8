// SPDX-License-Identifier: AGPL-3.0-only
// A client of a local server that answers a request with one line: configd, the policy daemon. All
// by one deadline, since neither may hold up the command that asks.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include <sys/socket.h>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace carbonio {

using Deadline = std::chrono::steady_clock::time_point;

// A blocking stream socket; not open if there is no connection by the deadline, and errno says why.
policyd::UniqueFd connect_to(const sockaddr* address, socklen_t size, Deadline deadline);

// Sends `request` and returns the first line of the answer, without its end. An Error, without the
// server's name, if it cannot be sent or no line of at most `max_line` bytes comes by the deadline.
// The last line need not be ended before the server closes the connection.
policyd::Result<std::string> ask_for_line(const policyd::UniqueFd& fd, std::string_view request,
                                          std::size_t max_line, Deadline deadline);

// "unexpected answer 'XYZ'", for an answer that cannot be trusted.
std::string unexpected_answer(std::string_view answer);

}  // namespace carbonio
