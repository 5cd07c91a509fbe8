// SPDX-License-Identifier: AGPL-3.0-only
// Only the owner may touch the database: SQLite creates files next to it (-wal, -shm), and files
// that belong to root would lock out the daemon. Called before the database is opened, in a program
// with a single thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

// "zextras", or the number if it has no name.
std::string user_name(uid_t id);

// If run by root, this process permanently becomes the owner of `file`, or of the nearest existing
// folder if the file does not exist. If run by another user, the Error names the owner.
policyd::Result<void> become_owner_of(const std::filesystem::path& file);

// The same until destruction; then this process is root again. For commands that need root
// afterwards.
class AsOwner {
 public:
  static policyd::Result<AsOwner> of(const std::filesystem::path& file);
  ~AsOwner();
  AsOwner(AsOwner&& other) noexcept;
  AsOwner& operator=(AsOwner&&) = delete;
  AsOwner(const AsOwner&) = delete;
  AsOwner& operator=(const AsOwner&) = delete;

 private:
  AsOwner() = default;
  bool was_root_ = false;  // and became another user
  gid_t group_before_ = 0;
  std::vector<gid_t> groups_before_;
};

}  // namespace limits
