// SPDX-License-Identifier: AGPL-3.0-only
// The listening sockets across a restart: systemd keeps copies of them (FDSTORE, sd_notify(3)), so
// connections made while nobody serves wait in the kernel, and hands them to the next start. Their
// name tells that start whether they are those of its configuration. Called once, by main.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/sd_notify.hpp"

namespace policyd {

// What the environment says: $LISTEN_FDS and $LISTEN_FDNAMES, where $LISTEN_PID is us.
struct HandedOver {
  int count = 0;                   // descriptors 3 and up
  std::vector<std::string> names;  // as many, or none
};
// Each may be null, as getenv has it. More than 64 descriptors are 64.
HandedOver handed_over(const char* pid, const char* count, const char* names);

// "cbpolicyd-localhost-10031": without a colon, which the protocol forbids.
std::string store_name(const Config& config);

// The sockets handed over, where they are of this configuration or from somebody who names them
// otherwise (our supervisor, a socket unit); else those of the configuration, made now, and what
// the store has of another one is thrown out of it.
Result<std::vector<Listener>> sockets_for(const Config& config, const HandedOver& given,
                                          const Notifier& notifier);

// From now on systemd keeps them too. A path among them is then nobody's to remove at our end.
void keep_in_store(std::vector<Listener>& listeners, const Config& config,
                   const Notifier& notifier);

}  // namespace policyd
