// SPDX-License-Identifier: AGPL-3.0-only
// Which process is the policy daemon of a configuration: by pid file, else by looking at all
// processes, and in any case by what a process is. A number in a stale pid file that by now belongs
// to somebody else is never taken for it, nor an editor with cbpolicyd in its command line.
#pragma once

#include <filesystem>
#include <optional>

#include <sys/types.h>

namespace carbonio {

// The supervisor, or the worker where there is none; also the Perl daemon. `config` is absolute.
std::optional<pid_t> find_daemon(const std::filesystem::path& config,
                                 const std::filesystem::path& pid_file);

// The worker that `supervisor` has; nullopt while it has none, and for a process that is none.
std::optional<pid_t> find_worker(pid_t supervisor);

// Whether it is still there, as a cbpolicyd of `config`; one that has ended and is not yet reaped
// is not.
bool is_daemon(pid_t pid, const std::filesystem::path& config);

}  // namespace carbonio
