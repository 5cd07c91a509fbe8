// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/who_may_read.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "daemon/base/shell_words.hpp"
#include "hooks/system/users.hpp"

namespace limits {
namespace {

// Of a file that the members of a group other than root's may read.
std::optional<std::string> reading_group(const std::filesystem::path& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0 || (about.st_mode & S_IRGRP) == 0 || about.st_gid == 0) {
    return std::nullopt;
  }
  constexpr std::size_t kEntrySize = 16'384;
  std::array<char, kEntrySize> buffer{};
  struct group entry {};
  struct group* found = nullptr;
  if (::getgrgid_r(about.st_gid, &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return std::nullopt;
  }
  return std::string{entry.gr_name};
}

}  // namespace

std::string advice_to_read(const std::filesystem::path& file) {
  const auto group = reading_group(file);
  const auto user = carbonio::find_user(::geteuid());
  if (!group || !user) return "; run this as root";
  return fmt::format(
      "; run this as root, or as a member of the group {0}, after 'usermod -aG {0} {1}' and a new "
      "login",
      policyd::shell_word(*group), policyd::shell_word(user->name));
}

}  // namespace limits
