// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/host_check.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <system_error>

#include "daemon/config/module_table.hpp"
#include "daemon/net/listeners.hpp"

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

}  // namespace

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

}  // namespace policyd
