// SPDX-License-Identifier: AGPL-3.0-only
// The pid file, from which Carbonio's programs know the daemon; removed at an orderly exit. It is
// locked while the daemon runs, so that a second daemon recognises the first, and a stale number
// left by a crash, which another process may have by now, does no harm.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "daemon/base/unique_fd.hpp"

namespace policyd {

class PidFile {
 public:
  struct Trouble {
    bool taken = false;   // another daemon is running: do not start. If not, go on without the file
    std::string message;  // one line that names the file
  };

  // Locks the file and writes our pid into it.
  static tl::expected<PidFile, Trouble> take(const std::filesystem::path& file);
  static Trouble taken(const std::filesystem::path& file, pid_t by);
  // The process that has locked the file; nullopt if it is stale or absent.
  static std::optional<pid_t> holder(const std::filesystem::path& file);

  // Removes the file, unless it belongs to another process by now.
  ~PidFile();
  PidFile(PidFile&&) noexcept = default;

  // Whether our file is still in place; /run may have been emptied.
  [[nodiscard]] bool is_in_place() const;

 private:
  PidFile(std::filesystem::path file, UniqueFd fd) : file_(std::move(file)), fd_(std::move(fd)) {}
  std::filesystem::path file_;
  UniqueFd fd_;  // holds the lock
};

}  // namespace policyd
