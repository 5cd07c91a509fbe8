// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/one_shot.hpp"

#include <atomic>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/cleanup/cleanup.hpp"
#include "daemon/process/host_check.hpp"
#include "daemon/process/privileges.hpp"

namespace policyd {

void print_check(const LoadedConfig& loaded, const std::filesystem::path& file) {
  const auto host_problems = check_host(loaded.config);
  for (const std::string& warning : loaded.warnings) std::cout << "warning: " << warning << '\n';
  for (const std::string& problem : host_problems) std::cout << "warning: " << problem << '\n';
  for (const std::string& notice : loaded.notices) std::cout << "note: " << notice << '\n';
  std::cout << file.string()
            << (host_problems.empty() ? ": OK\n" : ": valid, but see the warnings above\n");
}

Result<void> clean_up_now(const Config& config) {
  std::vector<std::string> warnings;
  const auto became = give_up_root(config.user, config.group, warnings);
  if (!became) return became;
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << '\n';

  CleanupSettings settings;
  settings.database = config.database;
  settings.table_prefix = config.table_prefix;
  settings.sessions = config.cleanup_sessions;
  const std::atomic<bool> stop = false;
  return clean_up(
      settings, wall_clock(), [](std::string_view line) { std::cout << line << std::endl; }, stop);
}

}  // namespace policyd
