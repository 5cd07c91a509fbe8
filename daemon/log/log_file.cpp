// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/log/log_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace policyd {

Result<LogFile> LogFile::open(const std::filesystem::path& file) {
  UniqueFd fd{file.empty() ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
                           : ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)};
  if (fd) return LogFile{std::move(fd)};
  const int error = errno;
  return failure("cannot open the log " + (file.empty() ? "on standard error" : file.string()) +
                 ": " + std::generic_category().message(error));
}

std::size_t LogFile::append(std::string_view lines) {
  if (torn_ && write_all("\n") == 0) return 0;
  return write_all(lines);
}

std::size_t LogFile::write_all(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::write(fd_.get(), text.data() + done, text.size() - done);
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
