// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/replace_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "daemon/base/unique_fd.hpp"

namespace policyd {
namespace {

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

tl::expected<void, FileError> replace_file(const std::filesystem::path& file,
                                           std::string_view bytes, mode_t mode,
                                           const std::optional<FileOwner>& owner) {
  const std::filesystem::path fresh = std::filesystem::path{file} += ".new";
  ::unlink(fresh.c_str());
  const UniqueFd fd{
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  bool done = fd && write_all(fd.get(), bytes);
  if (done && owner && ::geteuid() == 0) {
    done = ::fchown(fd.get(), owner->user, owner->group) == 0;
  }
  done = done && ::fchmod(fd.get(), mode) == 0 && ::fsync(fd.get()) == 0 &&
         ::rename(fresh.c_str(), file.c_str()) == 0;
  if (done) return {};
  const int code = errno;
  if (fd) ::unlink(fresh.c_str());
  return tl::unexpected<FileError>{FileError{code, std::generic_category().message(code)}};
}

}  // namespace policyd
