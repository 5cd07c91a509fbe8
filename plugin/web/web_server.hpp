// SPDX-License-Identifier: AGPL-3.0-only
// The sockets of the page: HTTP/1.1 by Boost.Beast, on loopback or a UNIX socket. Connections,
// sizes and times are bounded, whoever is at the other end. One thread for all connections, and one
// for the subcommands of each lane: run_program() is for one thread, and one mail log at a time is
// enough. What reads it ends once whoever asked has gone.
#pragma once

#include <functional>
#include <vector>

#include "daemon/net/listeners.hpp"
#include "plugin/web/site.hpp"

namespace limits {

struct WebServerSettings {
  std::vector<policyd::Listener> listeners;
  Site::Settings site;
};

// Serves until SIGTERM or SIGINT; a subcommand that runs then comes to its end. Calls `ready` once
// it serves.
void serve_page(WebServerSettings settings, Site::Run run, const std::function<void()>& ready);

}  // namespace limits
