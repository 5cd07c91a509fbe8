// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/engine_password.hpp"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "daemon/base/replace_file.hpp"

namespace limits {

using policyd::failure;

policyd::Result<PasswordInMemory> PasswordInMemory::of(const std::string& password) {
  PasswordInMemory out;
  out.fd_.reset(::memfd_create("password", MFD_CLOEXEC));
  const bool done = out.fd_ && ::fchmod(out.fd_.get(), 0600) == 0 &&
                    ::write(out.fd_.get(), password.data(), password.size()) ==
                        static_cast<ssize_t>(password.size());
  if (!done) return failure(fmt::format("cannot hold the password: {}", std::strerror(errno)));
  return out;
}

std::filesystem::path PasswordInMemory::file() const {
  return fmt::format("/proc/self/fd/{}", fd_.get());
}

std::filesystem::path own_password_file(const DaemonConfig& daemon) {
  return daemon.file.parent_path() / "carbonio-limits.redis-password";
}

policyd::Result<void> write_password(const std::filesystem::path& file, const std::string& password,
                                     const std::filesystem::path& database) {
  struct stat owner {};
  if (::stat(database.c_str(), &owner) != 0) {
    return failure(fmt::format("{}: {}", database.string(), std::strerror(errno)));
  }
  const auto done = policyd::replace_file(file, password + "\n", 0640,
                                          policyd::FileOwner{owner.st_uid, owner.st_gid});
  if (done) return {};
  return failure(fmt::format("cannot write {}: {}", file.string(), done.error().message));
}

}  // namespace limits
