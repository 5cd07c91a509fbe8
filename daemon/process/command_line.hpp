// SPDX-License-Identifier: AGPL-3.0-only
// The command line of cbpolicyd and of its link cbpadmin.
#pragma once

#include <filesystem>
#include <tl/expected.hpp>

namespace policyd {

// Exit statuses of the program.
inline constexpr int kDone = 0;
inline constexpr int kWrongUse = 1;
inline constexpr int kFailed = 2;

struct Options {
  std::filesystem::path home;  // of Carbonio
  std::filesystem::path config;
  bool foreground = false;
  bool debug = false;
  bool check_config = false;
  bool cleanup = false;
  bool supervise = false;
  bool supervised = false;        // started by the supervisor, which has the pid file
  bool close_output = false;      // once connections are accepted
  std::filesystem::path program;  // this one, for the supervisor to start workers from
};

// `environment_home` is $ZEXTRAS_HOME, or null. Unexpected is an exit status: --help or --version
// was printed, or what is wrong with the command line.
tl::expected<Options, int> parse_command_line(int argc, const char* const* argv,
                                              const char* environment_home);

}  // namespace policyd
