// SPDX-License-Identifier: AGPL-3.0-only
// The policy daemon as this host runs it: by systemd's unit carbonio-policyd.service, or, where
// systemd does not run it (zmcontrol), in the background under its own supervisor. Every start,
// stop and look at it, by `carbonio-limits service`, `enable`, zmcbpolicydctl, goes through here.
// For a program with one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include <sys/types.h>

#include "daemon/base/result.hpp"

namespace carbonio {

inline constexpr const char* kServiceUnit = "carbonio-policyd.service";

struct ServicePlace {
  std::filesystem::path zextras_home;
  std::filesystem::path program;    // cbpolicyd
  std::filesystem::path config;     // conf/cbpolicyd.conf, absolute
  std::filesystem::path pid_file;   // of the configuration
  std::filesystem::path systemctl;  // empty: systemd does not run, or does not have the unit
};

// Of this host: what of systemd there is is found here. The unit is that of /opt/zextras; a daemon
// of another home runs in the background.
ServicePlace find_service(const std::filesystem::path& zextras_home);

enum class ServiceChange : std::uint8_t { done, was_so };  // was_so: it ran already, or did not run

// The process that runs the daemon (the supervisor, else the worker), by pid file and by what that
// process is; nobody else's process with that number is taken for it.
std::optional<pid_t> running_service(const ServicePlace& place);

// Each waits until it is so (it accepts connections; it is gone): 30 s, by systemd 90 s at most.
// Errors: one sentence with the cause and where to look. One that runs beside systemd's unit is
// ended by start, stop and restart.
policyd::Result<ServiceChange> start_service(const ServicePlace& place);
policyd::Result<ServiceChange> stop_service(const ServicePlace& place);
// Starts it where it does not run. A supervisor keeps the sockets and changes the worker, so no
// connection is refused meanwhile; but where the program was replaced both are, with a gap that
// Postfix bridges. With a broken configuration all stays as it is.
policyd::Result<void> restart_service(const ServicePlace& place);
// Reads its configuration again; an Error where it does not run, or the configuration is broken.
policyd::Result<void> reload_service(const ServicePlace& place);

}  // namespace carbonio
