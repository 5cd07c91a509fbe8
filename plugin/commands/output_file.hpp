// SPDX-License-Identifier: AGPL-3.0-only
// A file that is opened as the user who runs the command, and written at the end, as the owner of
// the database. Opening never waits: a pipe that no one reads is an error.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/unique_fd.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

class OutputFile {
 public:
  static tl::expected<OutputFile, Failure> open(const std::string& name);

  OutputFile(OutputFile&&) = default;
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  // Removes a new file that was not written, unless the owner of the database may not.
  ~OutputFile();

  Outcome write(std::string_view text);

 private:
  OutputFile(std::string name, int fd, bool is_new)
      : name_(std::move(name)), fd_(fd), is_new_(is_new) {}

  std::string name_;
  policyd::UniqueFd fd_;
  bool is_new_ = false;  // created here, and still empty
};

}  // namespace limits
