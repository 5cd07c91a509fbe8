// SPDX-License-Identifier: AGPL-3.0-only
// Keeps the listening sockets across a restart: systemd holds copies of them (FDSTORE,
// sd_notify(3)) and passes them to the next start, so that connections made in between wait in the
// kernel. Their name shows whether they still match the configuration. Used once, at start-up.
#pragma once

#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

// From $LISTEN_FDS and $LISTEN_FDNAMES, if $LISTEN_PID is this process.
struct HandedOver {
  int count = 0;                   // descriptors 3 and up
  std::vector<std::string> names;  // one for each, or empty
};
// Each may be null. More than 64 descriptors count as 64.
HandedOver handed_over(const char* pid, const char* count, const char* names);

// "cbpolicyd-localhost-10031"; without colons, which the protocol forbids.
std::string store_name(const Config& config);

// The sockets passed to us, if they match the configuration or have names that are not ours (from
// our supervisor or a socket unit). Otherwise binds those of the configuration, and removes the
// outdated ones from the store.
Result<std::vector<Listener>> sockets_for(const Config& config, const HandedOver& given,
                                          const Notifier& notifier);

// Adds the sockets to systemd's store. The path of a UNIX socket then stays when we exit.
void keep_in_store(std::vector<Listener>& listeners, const Config& config,
                   const Notifier& notifier);

}  // namespace policyd
