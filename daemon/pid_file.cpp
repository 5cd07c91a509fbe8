// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/pid_file.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

namespace policyd {

namespace fs = std::filesystem;

Result<PidFile> PidFile::write(const fs::path& file) {
  // Written beside it and renamed: nobody reads half a number.
  const fs::path fresh = fmt::format("{}.{}", file.string(), ::getpid());
  std::ofstream out{fresh};
  out << ::getpid() << '\n';
  out.close();
  std::error_code code;
  if (!out) {
    code = std::make_error_code(static_cast<std::errc>(errno));
  } else {
    fs::rename(fresh, file, code);
  }
  if (!code) return PidFile{file};
  const std::string why = code.message();
  fs::remove(fresh, code);
  return failure(fmt::format("cannot write the pid file {}: {}", file.string(), why));
}

PidFile::PidFile(PidFile&& other) noexcept : file_(std::exchange(other.file_, {})) {}

PidFile::~PidFile() {
  if (file_.empty()) return;
  // A daemon that was started meanwhile has put its own number there.
  pid_t pid = 0;
  std::ifstream{file_} >> pid;
  std::error_code ignored;
  if (pid == ::getpid()) fs::remove(file_, ignored);
}

}  // namespace policyd
