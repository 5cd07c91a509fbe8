// SPDX-License-Identifier: AGPL-3.0-only
// The sockets that Postfix connects to: bound once at start-up, while we may still be root, and
// passed to the process that serves. `host=localhost` is 127.0.0.1 and ::1, `*` every address.
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
  bool inherited = false;  // bound by another process, which then removes a UNIX socket's path
};

// An Error names the address, the reason and what to do.
Result<std::vector<Listener>> listen_on(const Config& config);

// Checks that the configured host can be resolved, possibly in the DNS. Binds nothing.
Result<void> look_up_host(const Config& config);

// Sockets bound by the process that started us (systemd, our supervisor): descriptors 3 and up.
Result<std::vector<Listener>> inherited_listeners(int count);

}  // namespace policyd
