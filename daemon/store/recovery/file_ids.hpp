// SPDX-License-Identifier: AGPL-3.0-only
// Which files a database's names refer to: device and inode of the file, its log and the log's
// index. Read with stat(): opening and closing the files would drop SQLite's locks.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace policyd {

struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;

  [[nodiscard]] std::string to_string() const {
    return std::to_string(device) + ":" + std::to_string(inode);
  }

  static std::optional<FileId> of(const std::filesystem::path& file) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) return std::nullopt;
    return FileId{status.st_dev, status.st_ino};
  }
};

// Where SQLite keeps a database: it follows links, and puts the log beside the file itself.
std::filesystem::path real_path(const std::filesystem::path& database);

// nullopt: there is no such file.
struct DatabaseIds {
  std::optional<FileId> file, log, index;
  bool operator==(const DatabaseIds&) const = default;

  static DatabaseIds of(const std::filesystem::path& database);

  // Of file and log; empty without either.
  [[nodiscard]] std::string to_string() const {
    return file && log ? file->to_string() + " " + log->to_string() : std::string{};
  }
};

// What stat() says of a database and its folder: equal only if nobody has changed its content, its
// owner or who may write it.
struct DatabaseState {
  struct File {
    FileId id;
    off_t size = 0;
    std::int64_t written_ns = 0;
    std::int64_t changed_ns = 0;
    bool operator==(const File&) const = default;
  };
  std::optional<File> file, log;
  uid_t folder_owner = 0;
  mode_t folder_mode = 0;
  bool operator==(const DatabaseState&) const = default;

  static DatabaseState of(const std::filesystem::path& named);
};

}  // namespace policyd
