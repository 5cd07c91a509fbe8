// SPDX-License-Identifier: AGPL-3.0-only
// The pid file, where Carbonio's programs look for the daemon; gone when we end in order.
#pragma once

#include <filesystem>

#include "daemon/result.hpp"

namespace policyd {

class PidFile {
 public:
  // Replaces what an earlier daemon left. An Error names the file; the daemon can do without.
  static Result<PidFile> write(const std::filesystem::path& file);
  ~PidFile();
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

 private:
  explicit PidFile(std::filesystem::path file) : file_(std::move(file)) {}
  std::filesystem::path file_;
};

}  // namespace policyd
