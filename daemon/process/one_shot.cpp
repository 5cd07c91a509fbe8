// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/one_shot.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/cleanup/cleanup.hpp"
#include "daemon/config/module_table.hpp"
#include "daemon/net/listeners.hpp"
#include "daemon/process/privileges.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

void check_folder(const fs::path& file, std::string_view key, std::vector<std::string>& problems) {
  std::error_code code;
  if (file.empty() || fs::is_directory(file.parent_path(), code)) return;
  problems.push_back(fmt::format("{} {}: folder {} does not exist; create it for the daemon's user",
                                 key, file.string(), file.parent_path().string()));
}

bool any_module(const Config& config) {
  return std::any_of(kModules.begin(), kModules.end(),
                     [&](const ModuleInfo& module) { return config.*module.in_config; });
}

// The problems on this host: users, hosts and folders that do not exist, no module enabled. Opens
// and changes nothing; a host name may be looked up in the DNS.
std::vector<std::string> check_host(const Config& config) {
  std::vector<std::string> problems;
  if (!config.user.empty() && ::getpwnam(config.user.c_str()) == nullptr) {
    problems.push_back(
        fmt::format("user '{}' does not exist; set 'user' to an existing one", config.user));
  }
  if (!config.group.empty() && ::getgrnam(config.group.c_str()) == nullptr) {
    problems.push_back(
        fmt::format("group '{}' does not exist; set 'group' to an existing one", config.group));
  }
  if (const auto host = look_up_host(config); !host) problems.push_back(host.error().message);
  if (!any_module(config)) {
    problems.emplace_back("no module is enabled, so nothing is limited; set enable=1 in [Quotas]");
  }
  check_folder(config.database, "the database", problems);
  check_folder(config.log_file, "log_file", problems);
  check_folder(config.pid_file, "pid_file", problems);
  return problems;
}

}  // namespace

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

  const CleanupSettings settings{config.database, config.table_prefix, config.cleanup_sessions};
  const std::atomic<bool> stop = false;
  return clean_up(
      settings, wall_clock(), [](std::string_view line) { std::cout << line << std::endl; }, stop);
}

}  // namespace policyd
