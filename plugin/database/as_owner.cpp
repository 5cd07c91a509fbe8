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
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "hooks/system/users.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

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

// The owner that this process has to become; nullopt if it is that user already. One that has no
// name has the group of the file.
Result<std::optional<carbonio::User>> owner_to_become(const fs::path& file) {
  const auto status = status_of(file);
  if (!status) return tl::unexpected{status.error()};
  const uid_t id = status->st_uid;
  if (id == geteuid()) return std::nullopt;
  if (geteuid() == 0) {
    return carbonio::find_user(id).value_or(carbonio::User{id, status->st_gid, {}, {}});
  }
  const std::string name = user_name(id);
  // No "su - USER": service users have no login shell.
  return failure(fmt::format(
      "{} belongs to user {}, and only that user may access it, because SQLite's files next to it "
      "must have the same owner; run this command as root{}",
      file.string(), name, id == 0 ? std::string{} : " or as " + name));
}

}  // namespace

std::string user_name(uid_t id) {
  const auto user = carbonio::find_user(id);
  return user ? user->name : fmt::format("{}", id);
}

Result<void> become_owner_of(const fs::path& file) {
  const auto user = owner_to_become(file);
  if (!user) return tl::unexpected{user.error()};
  if (!*user) return {};
  if (!take_groups_of(**user) || setgid((*user)->group) != 0 || setuid((*user)->id) != 0) {
    const std::string why = std::strerror(errno);
    return failure(fmt::format("cannot switch to user {}: {}; run this command as that user",
                               user_name((*user)->id), why));
  }
  return {};
}

Result<AsOwner> AsOwner::of(const fs::path& file) {
  const auto user = owner_to_become(file);
  if (!user) return tl::unexpected{user.error()};
  AsOwner out;
  if (!*user) return out;
  const int groups = getgroups(0, nullptr);
  out.groups_before_.resize(static_cast<std::size_t>(std::max(groups, 0)));
  if (groups < 0 || getgroups(groups, out.groups_before_.data()) < 0) {
    return failure(fmt::format("cannot read this process's groups: {}", std::strerror(errno)));
  }
  out.group_before_ = getegid();
  out.was_root_ = true;
  if (!take_groups_of(**user) || setegid((*user)->group) != 0 || seteuid((*user)->id) != 0) {
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
