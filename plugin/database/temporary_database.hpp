// SPDX-License-Identifier: AGPL-3.0-only
// A database next to the real one, for as long as a command needs it.
#pragma once

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

#include "daemon/sqlite/database.hpp"

namespace limits {

// The destructor removes it with all files that belong to it.
class TemporaryDatabase {
 public:
  TemporaryDatabase(const std::filesystem::path& original, std::string_view what)
      : file_(std::filesystem::path{original} += fmt::format(".{}-{}", what, getpid())) {}
  ~TemporaryDatabase() { policyd::remove_database(file_); }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
};

}  // namespace limits
