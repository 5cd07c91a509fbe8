// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/log/log_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

namespace policyd {

namespace {
constexpr int kPatienceMs = 1'000;
// A pipe that poll() calls writable takes this much without blocking.
constexpr std::size_t kPipeBytes = PIPE_BUF;
}  // namespace

Result<LogFile> LogFile::open(const std::filesystem::path& file) {
  // O_NONBLOCK: opening or writing a FIFO must not wait for its other end.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  UniqueFd fd{file.empty() ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
                           : ::open(file.c_str(), kFlags, 0644)};
  const int error = fd ? 0 : errno;
  struct stat status {};
  const bool known = fd && ::fstat(fd.get(), &status) == 0;
  const bool regular = known && S_ISREG(status.st_mode);
  const bool usable = file.empty() || regular || (known && S_ISCHR(status.st_mode));
  if (fd && usable) return LogFile{std::move(fd), regular};
  return failure("cannot open the log " + (file.empty() ? "on standard error" : file.string()) +
                 ": " +
                 (fd || error == ENXIO ? "it is neither a file nor a device"
                                       : std::generic_category().message(error)));
}

std::size_t LogFile::append(std::string_view lines) {
  if (torn_ && write_all("\n") == 0) return 0;
  return write_all(lines);
}

// A terminal that was stopped, or a pipe that nobody reads, must not hold up the end of the
// program.
bool LogFile::can_take_more() {
  if (regular_) return true;
  pollfd wanted{fd_.get(), POLLOUT, 0};
  if (::poll(&wanted, 1, kPatienceMs) == 1) return true;
  error_ = ETIMEDOUT;
  return false;
}

std::size_t LogFile::write_all(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size() && can_take_more()) {
    const std::size_t size = std::min(text.size() - done, regular_ ? text.size() : kPipeBytes);
    const ssize_t count = ::write(fd_.get(), text.data() + done, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      error_ = count < 0 ? errno : EIO;
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  if (done > 0) torn_ = text[done - 1] != '\n';
  return done;
}

}  // namespace policyd
