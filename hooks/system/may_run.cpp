// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/system/may_run.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "daemon/base/shell_words.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

bool may(const fs::path& path, int use) {
  return ::faccessat(AT_FDCWD, path.c_str(), use, AT_EACCESS) == 0;
}

// The effective user and groups, until destruction.
class OtherUser {
 public:
  explicit OtherUser(const User& user) {
    const int count = ::getgroups(0, nullptr);
    groups_.resize(static_cast<std::size_t>(count < 0 ? 0 : count));
    if (::getgroups(count, groups_.data()) < 0) return;
    became_ = ::initgroups(user.name.c_str(), user.group) == 0 && ::setegid(user.group) == 0 &&
              ::seteuid(user.id) == 0;
  }
  ~OtherUser() {
    const bool back = ::seteuid(0) == 0 && ::setegid(group_) == 0 &&
                      ::setgroups(groups_.size(), groups_.data()) == 0;
    if (!back) std::abort();  // never continue as the wrong user
  }
  OtherUser(const OtherUser&) = delete;
  OtherUser& operator=(const OtherUser&) = delete;

  [[nodiscard]] bool became() const { return became_; }

 private:
  gid_t group_ = ::getegid();
  std::vector<gid_t> groups_;
  bool became_ = false;
};

}  // namespace

Result<void> check_may_run(const fs::path& program) {
  if (may(program, X_OK)) return {};
  const std::string why = std::strerror(errno);
  const auto found = find_user(::geteuid());
  const std::string user = found ? found->name : fmt::format("{}", ::geteuid());
  fs::path above;
  for (const fs::path& part : program.parent_path()) {
    above /= part;
    if (may(above, X_OK) || errno != EACCES) continue;
    return failure(
        fmt::format("user {} may not enter the folder {}, so the daemon cannot run {}; move the "
                    "programs to a folder that everyone may enter, or: chmod o+x {}",
                    user, above.string(), program.string(), policyd::shell_word(above.string())));
  }
  return failure(fmt::format("user {} may not run {}: {}", user, program.string(), why));
}

Result<void> check_may_run(const fs::path& program, const User& user) {
  if (::geteuid() != 0 || user.id == 0) return check_may_run(program);
  const OtherUser other{user};
  return other.became() ? check_may_run(program) : Result<void>{};
}

}  // namespace carbonio
