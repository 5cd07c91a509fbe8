// SPDX-License-Identifier: AGPL-3.0-only
// The file, or standard error, that the log is appended to. Used only by the log's thread.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "daemon/base/result.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {

class LogFile {
 public:
  // Opens `file` for appending, or creates it with mode 0644; an empty name is standard error. An
  // Error names the file and the reason; anything but a file or a device is one. Never waits.
  static Result<LogFile> open(const std::filesystem::path& file);

  // Appends complete lines and returns how many bytes were written: fewer than all only after an
  // error, which error() then returns. A line that an earlier error cut off is ended first.
  std::size_t append(std::string_view lines);
  [[nodiscard]] int error() const { return error_; }  // errno of the last append that failed

 private:
  LogFile(UniqueFd fd, bool regular) : fd_(std::move(fd)), regular_(regular) {}
  bool can_take_more();
  std::size_t write_all(std::string_view text);

  UniqueFd fd_;
  bool regular_;
  int error_ = 0;
  bool torn_ = false;  // the last line written is incomplete
};

}  // namespace policyd
