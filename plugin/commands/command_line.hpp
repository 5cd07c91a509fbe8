// SPDX-License-Identifier: AGPL-3.0-only
// carbonio-limits' command line: which subcommand, with which options, and what each of them tells
// about itself. What main knows about its surroundings comes in as an Environment.
#pragma once

#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugin/cli/command.hpp"

namespace limits {

struct Environment {
  std::optional<std::string> zextras_home;  // $ZEXTRAS_HOME
  Style style;                              // of standard output
  policyd::TimePoint now;
  std::string search_path;  // $PATH
};

struct CommandLine {
  const Command* command = nullptr;  // none: help or version of the whole
  bool help = false;
  bool version = false;
  std::optional<std::string> zextras_home;  // --zextras-home
  Arguments arguments;
};

// `arguments` without the program's name. Options are never guessed from their beginning.
tl::expected<CommandLine, Failure> parse_command_line(std::span<const std::string> arguments);

std::string help_for_all();
std::string help_for(const Command& command);

// Does it all and returns the exit status. A failure is one line on `err`.
int run_command_line(std::span<const std::string> arguments, const Environment& environment,
                     std::ostream& out, std::ostream& err);

}  // namespace limits
