// SPDX-License-Identifier: AGPL-3.0-only
// Which files a database's names refer to: device and inode of the file, its log and the log's
// index. Read with stat(): opening and closing the files would drop SQLite's locks.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>

namespace policyd {

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;

  static std::optional<FileId> of(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return std::nullopt;
    return FileId{status.st_dev, status.st_ino};
  }
};

// nullopt: there is no such file.
struct DatabaseIds {
  std::optional<FileId> file, log, index;
  bool operator==(const DatabaseIds&) const = default;

  static DatabaseIds of(const std::filesystem::path& database) {
    return {FileId::of(database), FileId::of(std::filesystem::path{database} += "-wal"),
            FileId::of(std::filesystem::path{database} += "-shm")};
  }
};

}  // namespace policyd
