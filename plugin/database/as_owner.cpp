// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/as_owner.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "hooks/system/users.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

// The user, or one without name and with the group of the file.
carbonio::User user_of(uid_t id, gid_t group_of_file) {
  return carbonio::find_user(id).value_or(carbonio::User{id, group_of_file, {}, {}});
}

// The status of `file`, or of the nearest existing folder above it.
Result<struct stat> status_of(const fs::path& file) {
  std::error_code code;
  fs::path path = fs::absolute(file, code);
  if (code) return failure(fmt::format("cannot find {}: {}", file.string(), code.message()));
  for (;;) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0) return status;
    if (errno != ENOENT || path == path.root_path()) {
      const std::string why = std::strerror(errno);
      return failure(
          fmt::format("cannot access {}: {}; run this command as root or as the owner of the "
                      "database",
                      path.string(), why));
    }
    path = path.parent_path();
  }
}

bool take_groups_of(const carbonio::User& user) {
  return user.name.empty() ? setgroups(0, nullptr) == 0
                           : initgroups(user.name.c_str(), user.group) == 0;
}

Result<void> become(uid_t id, const carbonio::User& user) {
  if (!take_groups_of(user) || setgid(user.group) != 0 || setuid(id) != 0) {
    const std::string why = std::strerror(errno);
    return failure(fmt::format("cannot switch to user {}: {}; run this command as that user",
                               user.name.empty() ? fmt::format("{}", id) : user.name, why));
  }
  return {};
}

policyd::Error only_the_owner(const fs::path& file, uid_t id) {
  const std::string name = user_name(id);
  // No "su - USER": service users have no login shell.
  return {fmt::format(
      "{} belongs to user {}, and only that user may access it, because SQLite's files next to it "
      "must have the same owner; run this command as root{}",
      file.string(), name, id == 0 ? std::string{} : " or as " + name)};
}

}  // namespace

std::string user_name(uid_t id) {
  const auto user = carbonio::find_user(id);
  return user ? user->name : fmt::format("{}", id);
}

Result<void> become_owner_of(const fs::path& file) {
  const auto status = status_of(file);
  if (!status) return tl::unexpected{status.error()};
  if (status->st_uid == geteuid()) return {};
  if (geteuid() != 0) return tl::unexpected{only_the_owner(file, status->st_uid)};
  return become(status->st_uid, user_of(status->st_uid, status->st_gid));
}

Result<AsOwner> AsOwner::of(const fs::path& file) {
  const auto status = status_of(file);
  if (!status) return tl::unexpected{status.error()};
  AsOwner out;
  if (status->st_uid == geteuid()) return out;
  const carbonio::User user = user_of(status->st_uid, status->st_gid);
  if (geteuid() != 0) return tl::unexpected{only_the_owner(file, status->st_uid)};
  const int groups = getgroups(0, nullptr);
  out.groups_before_.resize(static_cast<std::size_t>(std::max(groups, 0)));
  if (groups < 0 || getgroups(groups, out.groups_before_.data()) < 0) {
    return failure(fmt::format("cannot read this process's groups: {}", std::strerror(errno)));
  }
  out.group_before_ = getegid();
  out.was_root_ = true;
  if (!take_groups_of(user) || setegid(user.group) != 0 || seteuid(status->st_uid) != 0) {
    return failure(
        fmt::format("cannot switch to the owner of {}: {}; run this command as that user",
                    file.string(), std::strerror(errno)));
  }
  return out;
}

AsOwner::AsOwner(AsOwner&& other) noexcept
    : was_root_(std::exchange(other.was_root_, false)),
      group_before_(other.group_before_),
      groups_before_(std::move(other.groups_before_)) {}

AsOwner::~AsOwner() {
  if (!was_root_) return;
  const bool back = seteuid(0) == 0 && setegid(group_before_) == 0 &&
                    setgroups(groups_before_.size(), groups_before_.data()) == 0;
  if (!back) std::abort();  // never continue as the wrong user
}

}  // namespace limits
