// SPDX-License-Identifier: AGPL-3.0-only
// The policy daemon as this host runs it: by systemd's unit carbonio-policyd.service, or, if
// systemd does not run Carbonio's services (zmcontrol does), in the background under its own
// supervisor. `carbonio-limits service`, `enable` and zmcbpolicydctl start, stop and query it
// through here only. For a process with one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/types.h>

#include "daemon/base/result.hpp"

namespace carbonio {

inline constexpr const char* kServiceUnit = "carbonio-policyd.service";

struct ServiceFiles {
  std::filesystem::path zextras_home;
  std::filesystem::path program;    // cbpolicyd
  std::filesystem::path config;     // conf/cbpolicyd.conf, absolute
  std::filesystem::path pid_file;   // as configured
  std::filesystem::path systemctl;  // empty: systemd is not in charge of the services
};

// Created by `enable` and removed by `disable`: the service runs on this host. The package's unit,
// which is enabled at installation, starts only if it exists (ConditionPathExists).
inline std::filesystem::path enabled_mark(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "enabled";
}
// Whether this is a host of Carbonio; if not, Postfix and its configuration are the admin's.
bool is_carbonio(const std::filesystem::path& zextras_home);
// Whether the mark exists.
bool is_switched_on(const std::filesystem::path& zextras_home);

// Of this host, including whether systemd is in charge: one of Carbonio's targets is enabled. The
// unit serves /opt/zextras only; a daemon of another home runs in the background.
ServiceFiles find_service(const std::filesystem::path& zextras_home);

// systemctl, if systemd runs here and can load this unit; it may run no service of Carbonio.
std::filesystem::path systemctl_knowing(const std::string& unit,
                                        const std::filesystem::path& zextras_home);

enum class ServiceChange : std::uint8_t { done, unchanged };  // unchanged: already (not) running

// The process that runs the daemon (the supervisor, else the worker), by pid file and by what that
// process is: a different process with that number does not count.
std::optional<pid_t> running_service(const ServiceFiles& files);

// Each waits until it is done (connections are accepted; the process is gone): at most 30 s, with
// systemd 90 s. Errors: one sentence with the cause and where to find more. Start, stop and restart
// end a daemon that runs outside systemd's unit.
policyd::Result<ServiceChange> start_service(const ServiceFiles& files);
policyd::Result<ServiceChange> stop_service(const ServiceFiles& files);
// Starts it if it does not run. A supervisor keeps the sockets and replaces the worker, so no
// connection is refused meanwhile; if the program was upgraded, both are replaced, with a gap that
// Postfix bridges. With a broken configuration the running daemon stays unchanged.
policyd::Result<void> restart_service(const ServiceFiles& files);
// Reloads its configuration; an Error if it does not run, or the configuration is broken.
policyd::Result<void> reload_service(const ServiceFiles& files);

}  // namespace carbonio
