// SPDX-License-Identifier: AGPL-3.0-only
// The command line of carbonio-limits: finds the subcommand and its options, runs it, and prints
// help. What main knows about its environment is passed in as an Environment.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>

#include "plugin/cli/command.hpp"

namespace limits {

struct Environment {
  std::optional<std::string> zextras_home;  // $ZEXTRAS_HOME
  Style style;                              // of standard output
  policyd::TimePoint now;
  std::string search_path;                // $PATH
  std::string who;                        // "root on pts/0 (sudo by anna)"
  std::optional<std::string> input = {};  // instead of standard input
  std::string notify_socket = {};         // $NOTIFY_SOCKET
  bool may_name_files = true;             // as in Context
  std::function<bool()> given_up = {};    // likewise
};

struct CommandLine {
  const Command* command = nullptr;  // null: help or version of the program
  bool help = false;
  bool version = false;
  std::optional<std::string> zextras_home;  // --zextras-home
  Arguments arguments;
};

// `arguments` without the program's name. Options cannot be abbreviated.
tl::expected<CommandLine, Failure> parse_command_line(std::span<const std::string> arguments);

std::string help_for_all();
std::string help_for(const Command& command);

// Parses and runs the command line. Returns the exit status; a failure is one line on `err`.
int run_command_line(std::span<const std::string> arguments, const Environment& environment,
                     std::ostream& out, std::ostream& err);

}  // namespace limits
