// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/read_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace policyd {
namespace {

tl::unexpected<FileError> system_failure(int code) {
  return tl::unexpected<FileError>{FileError{code, std::generic_category().message(code)}};
}

}  // namespace

UniqueFd open_to_read(const std::filesystem::path& file) {
  UniqueFd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (fd) ::fcntl(fd.get(), F_SETFL, O_RDONLY);  // reading waits for who is writing
  return fd;
}

tl::expected<std::string, FileError> read_to_end(int fd, std::size_t max_bytes) {
  std::string text;
  std::array<char, 16 * 1024> piece;
  while (true) {
    const ssize_t got = ::read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure(errno);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > max_bytes) {
      return tl::unexpected<FileError>{
          FileError{EFBIG, fmt::format("it is larger than {} bytes", max_bytes)}};
    }
  }
}

tl::expected<std::string, FileError> read_file(const std::filesystem::path& file,
                                               std::size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  const UniqueFd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd) return system_failure(errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_failure(errno);
  if (S_ISDIR(status.st_mode)) {
    return tl::unexpected<FileError>{FileError{EISDIR, "it is a folder"}};
  }
  if (!S_ISREG(status.st_mode)) {
    return tl::unexpected<FileError>{FileError{EINVAL, "it is not a regular file"}};
  }
  return read_to_end(fd.get(), max_bytes);
}

}  // namespace policyd
