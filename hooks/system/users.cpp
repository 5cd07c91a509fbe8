// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/users.hpp"

#include <pwd.h>

#include <array>

namespace carbonio {
namespace {

constexpr std::size_t kRoom = 16 * 1024;

// `look_up` is called as getpwnam_r and getpwuid_r are, without the key.
template <typename LookUp>
std::optional<User> find(LookUp look_up) {
  std::array<char, kRoom> room{};
  passwd entry{};
  passwd* found = nullptr;
  if (look_up(&entry, room.data(), room.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return User{found->pw_uid, found->pw_gid, found->pw_name, found->pw_dir};
}

}  // namespace

std::optional<User> find_user(const std::string& name) {
  return find([&](auto... rest) { return ::getpwnam_r(name.c_str(), rest...); });
}

std::optional<User> find_user(uid_t id) {
  return find([&](auto... rest) { return ::getpwuid_r(id, rest...); });
}

}  // namespace carbonio
