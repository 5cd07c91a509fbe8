// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/pid_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kMode = 0644;

bool is_same_file(int fd, const fs::path& file) {
  struct stat open {};
  struct stat named {};
  return ::fstat(fd, &open) == 0 && ::stat(file.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

pid_t pid_in(int fd) {
  std::array<char, 16> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  pid_t pid = 0;
  if (got > 0) std::from_chars(text.data(), text.data() + got, pid);
  return pid;
}

PidFile::Trouble cannot_write(const fs::path& file, std::string_view why) {
  return {false, fmt::format("cannot write the pid file {}: {}", file.string(), why)};
}

bool is_regular(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

UniqueFd open_or_create(const fs::path& file) {
  const auto open = [&] {
    return UniqueFd{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, kMode)};
  };
  UniqueFd fd = open();
  // A file left by another user is replaced, if the folder permits.
  if (!fd && errno == EACCES && ::unlink(file.c_str()) == 0) fd = open();
  return fd;
}

// Readers never see half a number, or none.
bool write_pid(int fd) {
  const std::string text = fmt::format("{}\n", ::getpid());
  const auto size = static_cast<ssize_t>(text.size());
  return ::pwrite(fd, text.data(), text.size(), 0) == size && ::ftruncate(fd, size) == 0;
}

}  // namespace

PidFile::Trouble PidFile::taken(const fs::path& file, pid_t by) {
  return {true, fmt::format(
                    "the policy daemon is already running with pid {} (pid file {}); stop it first",
                    by, file.string())};
}

tl::expected<PidFile, PidFile::Trouble> PidFile::take(const fs::path& file) {
  for (;;) {
    UniqueFd fd = open_or_create(file);
    if (!fd) return tl::unexpected{cannot_write(file, std::strerror(errno))};
    if (!is_regular(fd.get()))
      return tl::unexpected{cannot_write(file, "it is not a regular file")};
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      return tl::unexpected{taken(file, pid_in(fd.get()))};
    }
    // The daemon that had it may have removed it meanwhile.
    if (!is_same_file(fd.get(), file)) continue;
    if (!write_pid(fd.get())) return tl::unexpected{cannot_write(file, std::strerror(errno))};
    return PidFile{file, std::move(fd)};
  }
}

std::optional<pid_t> PidFile::holder(const fs::path& file) {
  const UniqueFd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return std::nullopt;
  return pid_in(fd.get());
}

PidFile::~PidFile() {
  if (is_in_place()) ::unlink(file_.c_str());
}

bool PidFile::is_in_place() const { return fd_ && is_same_file(fd_.get(), file_); }

}  // namespace policyd
