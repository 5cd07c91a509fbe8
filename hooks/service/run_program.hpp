// SPDX-License-Identifier: AGPL-3.0-only
// Another program's output: fork and exec with an argument vector, no shell, bounded in time and
// size. For a program with one thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"

namespace carbonio {

struct ProgramOutput {
  int status = 0;    // its exit status; 128 + signal where it was killed
  std::string text;  // standard output and standard error
};

// `words` begins with the program's path. At most 4 MiB of output. An Error where it cannot be
// started, says more, or has not ended by the deadline; it is killed then.
policyd::Result<ProgramOutput> run_program(const std::vector<std::string>& words,
                                           std::chrono::milliseconds deadline);

}  // namespace carbonio
