// SPDX-License-Identifier: AGPL-3.0-only
// The sockets that Postfix connects to: made once at the start, while we may still be root, and
// handed to whoever serves. `host=localhost` is both 127.0.0.1 and ::1, `*` every address.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/config/config.hpp"

namespace policyd {

struct Listener {
  UniqueFd fd;
  std::string name;  // "127.0.0.1:10031", "[::1]:10031", "/run/carbonio/policy"
  bool unix_socket = false;
  bool inherited = false;  // a path is removed by whoever made it
};

// Errors name the address, the reason and what to do (another daemon runs there, no such address).
Result<std::vector<Listener>> listen_on(const Config& config);

// Only whether its host can be looked up, not whether it is ours: nothing is bound. May ask the
// DNS.
Result<void> look_up_host(const Config& config);

// Sockets that whoever started us bound already: descriptors 3 and up (systemd, our supervisor).
Result<std::vector<Listener>> inherited_listeners(int count);

}  // namespace policyd
