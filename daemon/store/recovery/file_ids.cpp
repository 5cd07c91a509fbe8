// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/file_ids.hpp"

#include <system_error>

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

std::filesystem::path real_path(const std::filesystem::path& database) {
  std::error_code code;
  std::filesystem::path path = database;
  // A link may lead to a file that does not exist yet.
  for (int links = 0; links < 16 && std::filesystem::is_symlink(path, code); ++links) {
    path = path.parent_path() / std::filesystem::read_symlink(path, code);
  }
  const auto real = std::filesystem::weakly_canonical(path, code);
  return code ? database : real;
}

DatabaseIds DatabaseIds::of(const std::filesystem::path& database) {
  const auto real = real_path(database);
  return {FileId::of(real), FileId::of(std::filesystem::path{real} += "-wal"),
          FileId::of(std::filesystem::path{real} += "-shm")};
}

DatabaseState DatabaseState::of(const std::filesystem::path& named) {
  const auto database = real_path(named);
  DatabaseState out{state_of(database), state_of(std::filesystem::path{database} += "-wal"), 0, 0};
  struct stat folder {};
  if (::stat(database.parent_path().c_str(), &folder) == 0) {
    out.folder_owner = folder.st_uid;
    out.folder_mode = folder.st_mode;
  }
  return out;
}

}  // namespace policyd
