// SPDX-License-Identifier: AGPL-3.0-only
// Which process is the policy daemon of a configuration: by pid file, else by searching all
// processes, and in any case by what a process is. Neither a process that reuses the number in a
// stale pid file nor an editor with cbpolicyd in its command line is taken for it.
#pragma once

#include <filesystem>
#include <optional>

#include <sys/types.h>

namespace carbonio {

// What a pid file says; nullopt if it cannot be read or has no number of a process.
std::optional<pid_t> read_pid_file(const std::filesystem::path& file);

// The supervisor, or the worker if there is none; also the Perl daemon. `config` is absolute.
std::optional<pid_t> find_daemon(const std::filesystem::path& config,
                                 const std::filesystem::path& pid_file);

// The worker of `supervisor`; nullopt while it has none, or if it is not a supervisor.
std::optional<pid_t> find_worker(pid_t supervisor);

// Whether this process exists and is a cbpolicyd of `config`; one that has ended but was not reaped
// is not.
bool is_daemon(pid_t pid, const std::filesystem::path& config);

}  // namespace carbonio
