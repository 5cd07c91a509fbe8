// SPDX-License-Identifier: AGPL-3.0-only
// Users of this host, as its user database names them.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

namespace carbonio {

struct User {
  uid_t id = 0;
  gid_t group = 0;
  std::string name;
  std::string home;
};

// nullopt if there is no such user.
std::optional<User> find_user(const std::string& name);
std::optional<User> find_user(uid_t id);

}  // namespace carbonio
