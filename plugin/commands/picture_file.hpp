// SPDX-License-Identifier: AGPL-3.0-only
// A file that is opened as the user who runs the command, and written at the end, as the owner of
// the database.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/unique_fd.hpp"
#include "plugin/cli/command.hpp"

namespace limits {

class PictureFile {
 public:
  static tl::expected<PictureFile, Failure> open(const std::string& name);

  PictureFile(PictureFile&&) = default;
  PictureFile& operator=(PictureFile&&) = delete;
  PictureFile(const PictureFile&) = delete;
  PictureFile& operator=(const PictureFile&) = delete;
  // Removes a new file that was not written, unless the owner of the database may not.
  ~PictureFile();

  Outcome write(std::string_view text);

 private:
  PictureFile(std::string name, int fd, bool is_new)
      : name_(std::move(name)), fd_(fd), is_new_(is_new) {}

  std::string name_;
  policyd::UniqueFd fd_;
  bool is_new_ = false;  // created here, and still empty
};

}  // namespace limits
