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
#include "daemon/cluster/redis_address.hpp"
#include "daemon/cluster/redis_greeting.hpp"
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

struct HostProblems {
  std::vector<std::string> errors;  // with which the daemon does not start
  std::vector<std::string> warnings;
};

// Users, hosts and folders that do not exist, no module enabled. Opens and changes nothing; a host
// name may be looked up in the DNS.
HostProblems check_host(const Config& config) {
  HostProblems found;
  if (!config.user.empty() && ::getpwnam(config.user.c_str()) == nullptr) {
    found.errors.push_back(
        fmt::format("user '{}' does not exist; set 'user' to an existing one", config.user));
  }
  if (!config.group.empty() && ::getgrnam(config.group.c_str()) == nullptr) {
    found.errors.push_back(
        fmt::format("group '{}' does not exist; set 'group' to an existing one", config.group));
  }
  if (const auto host = look_up_host(config); !host) found.errors.push_back(host.error().message);
  if (!any_module(config)) {
    found.warnings.emplace_back(
        "no module is enabled, so nothing is limited; set enable=1 in [Quotas]");
  }
  check_folder(config.database, "the database", found.warnings);
  check_folder(config.log_file, "log_file", found.warnings);
  check_folder(config.pid_file, "pid_file", found.warnings);
  return found;
}

// Values of [cluster] with which this host would count alone. Last, since this process becomes the
// daemon's user, who must be able to read the password.
void check_cluster(const Config& config, HostProblems& found) {
  const Config fresh;
  if (config.cluster_url.empty()) {
    const bool any = config.cluster_node != fresh.cluster_node ||
                     config.cluster_without != fresh.cluster_without ||
                     config.cluster_password_file != fresh.cluster_password_file ||
                     config.cluster_timeout != fresh.cluster_timeout ||
                     config.cluster_prefix != fresh.cluster_prefix;
    if (any) {
      found.warnings.emplace_back(
          "[cluster] has no url, so this host counts alone; set url=redis://HOST, or remove the "
          "section");
    }
    return;
  }
  if (const auto address = parse_redis_address(config.cluster_url); !address) {
    found.warnings.push_back(fmt::format(
        "url in [cluster], without which this host counts alone: {}", address.error().message));
  }
  std::vector<std::string> ignored;
  if (config.cluster_password_file.empty() || !found.errors.empty() ||
      !give_up_root(config.user, config.group, ignored)) {
    return;
  }
  if (const auto password = read_password(config.cluster_password_file); !password) {
    found.warnings.push_back(fmt::format("[cluster], without which this host counts alone: {}",
                                         password.error().message));
  }
}

void print_each(std::string_view kind, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) std::cout << kind << ": " << line << '\n';
}

}  // namespace

bool print_check(const LoadedConfig& loaded, const std::filesystem::path& file) {
  HostProblems found = check_host(loaded.config);
  check_cluster(loaded.config, found);
  print_each("error", found.errors);
  print_each("warning", loaded.warnings);
  print_each("warning", found.warnings);
  print_each("note", loaded.notices);
  const bool starts = found.errors.empty();
  std::cout << file.string()
            << (!starts                  ? ": the daemon does not start, see the errors above\n"
                : found.warnings.empty() ? ": OK\n"
                                         : ": valid, but see the warnings above\n");
  return starts;
}

Result<void> clean_up_now(const Config& config) {
  std::vector<std::string> warnings;
  auto became = give_up_root(config.user, config.group, warnings);
  if (!became) return became;
  for (const std::string& warning : warnings) std::cerr << "warning: " << warning << '\n';

  const CleanupSettings settings{config.database, config.table_prefix, config.cleanup_sessions};
  const std::atomic<bool> stop = false;
  return clean_up(
      settings, wall_clock(), [](std::string_view line) { std::cout << line << std::endl; }, stop);
}

}  // namespace policyd
