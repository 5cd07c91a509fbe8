// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {
namespace {

std::optional<DatabaseState::File> state_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  const auto ns = [](const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return DatabaseState::File{
      {status.st_dev, status.st_ino}, status.st_size, ns(status.st_mtim), ns(status.st_ctim)};
}

}  // namespace

DatabaseState DatabaseState::of(const std::filesystem::path& database) {
  DatabaseState out{state_of(database), state_of(std::filesystem::path{database} += "-wal"), 0, 0};
  struct stat folder {};
  if (::stat(database.parent_path().c_str(), &folder) == 0) {
    out.folder_owner = folder.st_uid;
    out.folder_mode = folder.st_mode;
  }
  return out;
}

}  // namespace policyd
