// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/output_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

tl::unexpected<Failure> cannot_write(const std::string& name) {
  return failed(fmt::format("cannot write {}: {}", shown(name),
                            errno == ENXIO ? "no one reads this pipe" : std::strerror(errno)));
}

}  // namespace

tl::expected<OutputFile, Failure> OutputFile::open(const std::string& name) {
  constexpr int kMode = 0644;
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK;
  const int made = ::open(name.c_str(), kFlags | O_EXCL, kMode);
  const int fd = made != -1 ? made : ::open(name.c_str(), kFlags, kMode);
  if (fd == -1) return cannot_write(name);
  ::fcntl(fd, F_SETFL, O_WRONLY);  // writing may wait
  return OutputFile{name, fd, made != -1};
}

OutputFile::~OutputFile() {
  if (fd_ && is_new_) ::unlink(name_.c_str());
}

Outcome OutputFile::write(std::string_view text) {
  is_new_ = false;
  // A device cannot be cut, and need not be.
  bool written = ::ftruncate(fd_.get(), 0) == 0 || errno == EINVAL;
  while (written && !text.empty()) {
    const ssize_t size = ::write(fd_.get(), text.data(), text.size());
    written = size > 0;
    if (written) text.remove_prefix(static_cast<std::size_t>(size));
  }
  if (written) return {};
  return cannot_write(name_);
}

}  // namespace limits
