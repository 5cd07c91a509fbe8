// SPDX-License-Identifier: AGPL-3.0-only
// The file (or standard error) that the log is appended to. Used by the log's writing thread alone.
#pragma once

#include <filesystem>
#include <string_view>

#include "daemon/base/result.hpp"

namespace policyd {

class LogFile {
 public:
  // Opens or makes `file` for appending, mode 0644; an empty name is standard error. An Error
  // names the file and the reason.
  static Result<LogFile> open(const std::filesystem::path& file);
  LogFile(LogFile&& other) noexcept;
  LogFile& operator=(LogFile&& other) noexcept;
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  // Appends complete lines and returns how many bytes of them went in: fewer than all only after
  // an error, which is error() then. A line that was torn by an error is ended first.
  std::size_t append(std::string_view lines);
  [[nodiscard]] int error() const { return error_; }  // errno of the last append that failed

 private:
  explicit LogFile(int descriptor) : descriptor_(descriptor) {}
  std::size_t write_all(std::string_view text);

  int descriptor_ = -1;
  int error_ = 0;
  bool torn_ = false;  // what was written last does not end with a line
};

}  // namespace policyd
