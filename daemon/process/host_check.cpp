// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/host_check.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>

#include <system_error>

#include "daemon/net/listeners.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

void check_folder(const fs::path& file, std::string_view key, std::vector<std::string>& wrong) {
  std::error_code code;
  if (file.empty() || fs::is_directory(file.parent_path(), code)) return;
  wrong.push_back(fmt::format("{} {}: there is no folder {}; make it, for the daemon's user", key,
                              file.string(), file.parent_path().string()));
}

bool any_module(const Config& config) {
  return config.quotas || config.accounting || config.access_control || config.greylisting ||
         config.check_helo || config.check_spf;
}

}  // namespace

std::vector<std::string> check_host(const Config& config) {
  std::vector<std::string> wrong;
  if (!config.user.empty() && ::getpwnam(config.user.c_str()) == nullptr) {
    wrong.push_back(
        fmt::format("there is no user '{}'; set 'user' to one that exists", config.user));
  }
  if (!config.group.empty() && ::getgrnam(config.group.c_str()) == nullptr) {
    wrong.push_back(
        fmt::format("there is no group '{}'; set 'group' to one that exists", config.group));
  }
  if (const auto host = look_up_host(config); !host) wrong.push_back(host.error().message);
  if (!any_module(config)) {
    wrong.emplace_back("no module is on, so nothing is limited; set enable=1 in [Quotas]");
  }
  check_folder(config.database, "the database", wrong);
  check_folder(config.log_file, "log_file", wrong);
  check_folder(config.pid_file, "pid_file", wrong);
  return wrong;
}

}  // namespace policyd
