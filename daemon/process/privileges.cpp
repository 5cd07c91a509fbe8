// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/privileges.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace policyd {

Result<void> give_up_root(const std::string& user, const std::string& group,
                          std::vector<std::string>& warnings) {
  const passwd* account = user.empty() ? nullptr : ::getpwnam(user.c_str());
  if (!user.empty() && account == nullptr) {
    return failure(fmt::format(
        "user '{}' does not exist; set 'user' in the configuration to an existing one", user));
  }
  const auto* named_group = group.empty() ? nullptr : ::getgrnam(group.c_str());
  if (!group.empty() && named_group == nullptr) {
    return failure(fmt::format(
        "group '{}' does not exist; set 'group' in the configuration to an existing one", group));
  }
  if (::geteuid() != 0) {
    if (account != nullptr && account->pw_uid != ::geteuid()) {
      warnings.push_back(fmt::format("not started by root, so not changing to user '{}'", user));
    }
    return {};
  }
  if (account == nullptr) {
    warnings.emplace_back("'user' is not set: running as root");
  } else if (::initgroups(account->pw_name, account->pw_gid) != 0) {
    return failure(
        fmt::format("cannot set the groups of user '{}': {}", user, std::strerror(errno)));
  }
  const gid_t gid = named_group != nullptr ? named_group->gr_gid
                    : account != nullptr   ? account->pw_gid
                                           : ::getegid();
  if (::setgid(gid) != 0) {
    return failure(fmt::format("cannot change to group {}: {}", gid, std::strerror(errno)));
  }
  if (account != nullptr && ::setuid(account->pw_uid) != 0) {
    return failure(fmt::format("cannot change to user '{}': {}", user, std::strerror(errno)));
  }
  return {};
}

}  // namespace policyd
