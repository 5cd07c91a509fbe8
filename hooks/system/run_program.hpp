// SPDX-License-Identifier: AGPL-3.0-only
// Runs another program and returns what it printed: an argument vector, never a shell, bounded in
// time and output. The only place where the hooks and the admin command start a program, and the
// only one that uses Boost.Process, which takes long to compile. For a process with one thread:
// while the program runs, SIGCHLD is handled and SIGPIPE ignored.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/result.hpp"

namespace carbonio {

struct Program {
  std::vector<std::string> words;  // begins with the path of the program
  std::chrono::milliseconds deadline{};
  std::string input = {};                                             // its standard input
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  std::size_t max_output = std::size_t{4} << 20;                      // bytes, of each stream
};

struct ProgramOutput {
  int status = 0;   // exit status; 128 + signal if a signal ended it
  std::string out;  // standard output
  std::string err;  // standard error
};

// Waits until the program has ended, and at most a second longer for output that a process it left
// behind might still write. The program runs in a process group of its own, which is killed at the
// end whatever happened; a daemon that it started is safe in its own session. It inherits no
// descriptors. An Error, without the program's name, if it cannot be started, passes the deadline
// or prints too much.
policyd::Result<ProgramOutput> run_program(const Program& program);

// Whether this user may run the file.
bool is_program(const std::string& file);

}  // namespace carbonio
