// SPDX-License-Identifier: AGPL-3.0-only
// The password of Redis or Valkey that was given on standard input when a host joins a cluster: in
// memory while the engine is checked, and then in a file of ours.
#pragma once

#include <filesystem>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {

// A password that is in no file yet, as a file that only this process has.
class PasswordInMemory {
 public:
  static policyd::Result<PasswordInMemory> of(const std::string& password);
  [[nodiscard]] std::filesystem::path file() const;

 private:
  policyd::UniqueFd fd_;
};

// Where a password that was given on standard input is kept.
std::filesystem::path own_password_file(const DaemonConfig& daemon);

// Mode 0640, of the user who owns the database.
policyd::Result<void> write_password(const std::filesystem::path& file, const std::string& password,
                                     const std::filesystem::path& database);

}  // namespace limits
