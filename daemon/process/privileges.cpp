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
        "there is no user '{}': set 'user' in the configuration to one that exists", user));
  }
  const auto* named_group = group.empty() ? nullptr : ::getgrnam(group.c_str());
  if (!group.empty() && named_group == nullptr) {
    return failure(fmt::format(
        "there is no group '{}': set 'group' in the configuration to one that exists", group));
  }
  if (::geteuid() != 0) {
    if (account != nullptr && account->pw_uid != ::geteuid()) {
      warnings.push_back(fmt::format("not started by root, so not becoming user '{}'", user));
    }
    return {};
  }
  if (account == nullptr) {
    warnings.emplace_back("'user' is not set: running as root");
  } else if (::initgroups(account->pw_name, account->pw_gid) != 0) {
    return failure(fmt::format("cannot take the groups of '{}': {}", user, std::strerror(errno)));
  }
  const gid_t gid = named_group != nullptr ? named_group->gr_gid
                    : account != nullptr   ? account->pw_gid
                                           : ::getegid();
  if (::setgid(gid) != 0)
    return failure(fmt::format("cannot become group {}: {}", gid, std::strerror(errno)));
  if (account != nullptr && ::setuid(account->pw_uid) != 0) {
    return failure(fmt::format("cannot become user '{}': {}", user, std::strerror(errno)));
  }
  return {};
}

}  // namespace policyd
