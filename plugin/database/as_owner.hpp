// SPDX-License-Identifier: AGPL-3.0-only
// Who may touch the database: its owner, since SQLite makes files beside it (-wal, -shm), and those
// of root would shut the daemon out. Called before the database is opened, in a program with one
// thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <vector>

#include "daemon/base/result.hpp"

namespace limits {

// "nobody"; the number where it has no name.
std::string user_name(uid_t id);

// Run by root, this process becomes the owner of `file` for good (of the nearest existing folder,
// where there is no file yet). Run by another user than the owner, an Error says whom to become.
policyd::Result<void> become_owner_of(const std::filesystem::path& file);

// The same until it is destroyed; then this process is root again. For commands that go on with
// what takes root.
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
  bool was_root_ = false;  // and has become another
  gid_t group_before_ = 0;
  std::vector<gid_t> groups_before_;
};

}  // namespace limits
