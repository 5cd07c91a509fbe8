// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/command_line.hpp"

#include <boost/program_options.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "version.hpp"

namespace policyd {
namespace {

namespace po = boost::program_options;

po::options_description known_options() {
  po::options_description all{"Options"};
  auto add = all.add_options();
  add("config", po::value<std::string>()->value_name("FILE"),
      "configuration file (default: conf/cbpolicyd.conf in the Zextras home)");
  add("fg", "stay in the foreground (also -fg)");
  add("supervise", "stay in the foreground as a supervisor that replaces a worker that dies");
  add("supervised", "used by the supervisor: it has the pid file");
  add("close-output", "with --supervised: close the output once connections are accepted");
  add("debug", "log at level 4, debug");
  add("cleanup", "remove old rows from the database, print how many, and exit");
  add("check-config", "check the configuration, print the problems, and exit");
  add("zextras-home", po::value<std::string>()->value_name("DIR"),
      "where Carbonio is installed (default: $ZEXTRAS_HOME or /opt/zextras)");
  add("help", "print this help");
  add("version", "print the version");
  return all;
}

po::variables_map parse(const std::vector<std::string>& words,
                        const po::options_description& known) {
  namespace style = po::command_line_style;
  po::variables_map given;
  po::store(po::command_line_parser(words)
                .options(known)
                .positional({})
                .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                .run(),
            given);
  return given;
}

void print_help(const po::options_description& options) {
  std::cout << "Usage: cbpolicyd [OPTION...]\n"
               "       cbpadmin --config=FILE --cleanup\n\n"
               "Answers Postfix's policy requests from the limits in CBPolicyD's database.\n\n"
            << options
            << "\nExample, as a service manager starts it:\n"
               "  cbpolicyd --config /opt/zextras/conf/cbpolicyd.conf --fg\n";
}

tl::unexpected<int> wrong_use(std::string_view message) {
  std::cerr << message << '\n';
  return tl::unexpected{kWrongUse};
}

std::filesystem::path home_of(const po::variables_map& given, const char* environment_home) {
  if (given.count("zextras-home") != 0) return given["zextras-home"].as<std::string>();
  return environment_home != nullptr && *environment_home != '\0' ? environment_home
                                                                  : "/opt/zextras";
}

Options options_of(const po::variables_map& given, const std::filesystem::path& program_name,
                   const char* environment_home) {
  const auto has = [&](const char* name) { return given.count(name) != 0; };
  Options options;
  options.home = std::filesystem::absolute(home_of(given, environment_home));
  options.config = has("config") ? std::filesystem::absolute(given["config"].as<std::string>())
                                 : options.home / "conf/cbpolicyd.conf";
  options.foreground = has("fg");
  options.debug = has("debug");
  options.check_config = has("check-config");
  options.cleanup = has("cleanup");
  options.supervise = has("supervise");
  options.supervised = has("supervised");
  options.close_output = has("close-output");
  options.program = program_name.has_parent_path()
                        ? std::filesystem::absolute(program_name)
                        : std::filesystem::read_symlink("/proc/self/exe");
  return options;
}

}  // namespace

tl::expected<Options, int> parse_command_line(int argc, const char* const* argv,
                                              const char* environment_home) {
  std::vector<std::string> words{argv + 1, argv + argc};
  for (std::string& word : words) {
    if (word == "-fg") word = "--fg";  // zmcbpolicydctl
  }
  const auto known = known_options();
  po::variables_map given;
  try {
    given = parse(words, known);
  } catch (const po::error& error) {
    return wrong_use(std::string{"cbpolicyd: "} + error.what() + "; see cbpolicyd --help");
  }
  if (given.count("help") != 0) {
    print_help(known);
    return tl::unexpected{kDone};
  }
  if (given.count("version") != 0) {
    std::cout << "cbpolicyd (carbonio-limits) " << kVersion << '\n';
    return tl::unexpected{kDone};
  }
  Options options = options_of(given, argv[0], environment_home);
  if (!options.cleanup && std::filesystem::path{argv[0]}.filename() == "cbpadmin") {
    return wrong_use("cbpadmin: nothing to do; use: cbpadmin --config=FILE --cleanup");
  }
  if (options.foreground && options.supervise) {
    return wrong_use(
        "cbpolicyd: --fg runs a worker alone, --supervise a supervisor; give only one of them");
  }
  return options;
}

}  // namespace policyd
