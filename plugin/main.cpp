// SPDX-License-Identifier: AGPL-3.0-only
//
// NAME
//   carbonio-limits - limits what users of a Carbonio mail server may send and receive
// SYNOPSIS
//   carbonio-limits SUBCOMMAND [options]
// DESCRIPTION
//   Writes limits into the database of the policy daemon, where they are in force by the next mail,
//   and shows them and how much of each is used. `carbonio-limits --help` names the subcommands.
// DIAGNOSTICS
//   Exit status 0: done; 1: wrong use; 2: it failed; 3: doctor or status found something wrong. A
//   failure is one line on standard error that says what and what to do, and has changed nothing.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "plugin/commands/command_line.hpp"
#include "plugin/terminal/screen.hpp"

namespace {

limits::Style style_of_standard_output() {
  limits::Style style;
  style.terminal = isatty(STDOUT_FILENO) == 1;
  const char* no_colour = std::getenv("NO_COLOR");
  style.colour = style.terminal && (no_colour == nullptr || *no_colour == '\0');
  style.width = limits::terminal_size().columns;
  return style;
}

}  // namespace

int main(int argc, char** argv) {
  limits::Environment environment;
  const char* home = std::getenv("ZEXTRAS_HOME");
  if (home != nullptr && *home != '\0') environment.zextras_home = home;
  environment.style = style_of_standard_output();
  environment.now = policyd::wall_clock();
  const char* path = std::getenv("PATH");
  if (path != nullptr) environment.search_path = path;
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return limits::run_command_line(arguments, environment, std::cout, std::cerr);
}
