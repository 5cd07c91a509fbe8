// SPDX-License-Identifier: AGPL-3.0-only
// The pid file, where Carbonio's programs look for the daemon; gone when we end in order. It is
// locked while its daemon lives: a second one of the same place sees that it is the second, and a
// number that a crash left there, by now perhaps somebody else's, is in nobody's way.
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
    bool taken = false;   // another daemon lives with it: do not start. Else one can do without
    std::string message;  // one line with the file
  };

  // Takes the file and writes our number into it.
  static tl::expected<PidFile, Trouble> take(const std::filesystem::path& file);
  static Trouble taken(const std::filesystem::path& file, pid_t by);
  // Who has taken the file; nullopt where it is stale, or there is none.
  static std::optional<pid_t> holder(const std::filesystem::path& file);

  // Removes it, unless it is another's by now.
  ~PidFile();
  PidFile(PidFile&&) noexcept = default;
  PidFile& operator=(PidFile&&) = delete;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  // Whether what we took is still where it was; /run may have been emptied.
  [[nodiscard]] bool is_there() const;

 private:
  PidFile(std::filesystem::path file, UniqueFd fd) : file_(std::move(file)), fd_(std::move(fd)) {}
  std::filesystem::path file_;
  UniqueFd fd_;  // holds the lock
};

}  // namespace policyd
