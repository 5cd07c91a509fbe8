// SPDX-License-Identifier: AGPL-3.0-only
//
// NAME
//   carbonio-limits - limits what users of a Carbonio mail server may send and receive
// SYNOPSIS
//   carbonio-limits SUBCOMMAND [options]
// DESCRIPTION
//   Writes limits to the database of the policy daemon, which applies them from the next mail on,
//   and shows the limits and how much of each is used. `carbonio-limits --help` lists the
//   subcommands.
// DIAGNOSTICS
//   Exit status 0: success; 1: wrong usage; 2: failure; 3: doctor or status found a problem. A
//   failure changes nothing and is reported in one line on standard error: what is wrong and what
//   to do.
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "plugin/commands/command_line.hpp"
#include "plugin/database/as_owner.hpp"
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

// "root on pts/0 (sudo by anna)"; from cron "root".
std::string who_runs_this() {
  std::string out = limits::user_name(getuid());
  const char* terminal = ttyname(STDIN_FILENO);
  constexpr std::string_view kFolder = "/dev/";
  if (terminal != nullptr) {
    const std::string_view name = terminal;
    out += " on ";
    out += name.substr(name.starts_with(kFolder) ? kFolder.size() : 0);
  }
  const char* sudo = std::getenv("SUDO_USER");
  if (sudo != nullptr && *sudo != '\0') out += std::string{" (sudo by "} + sudo + ")";
  return out;
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
  environment.who = who_runs_this();
  const char* notify_socket = std::getenv("NOTIFY_SOCKET");
  if (notify_socket != nullptr) environment.notify_socket = notify_socket;
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return limits::run_command_line(arguments, environment, std::cout, std::cerr);
}
