// SPDX-License-Identifier: AGPL-3.0-only
// What can be recovered of the database when its file is lost: the rows of all rule tables, copied
// into memory after each change, and the file itself while it is open here, even if it no longer
// has a name. Part of Backups, on its thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "daemon/base/result.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/recovery/database_copy.hpp"

namespace policyd {

class LiveCopy {
 public:
  LiveCopy(std::filesystem::path file, std::string table_prefix)
      : file_(std::move(file)), table_prefix_(std::move(table_prefix)) {}

  // Opens the file and keeps it open, in place of the previous one.
  Result<void> attach();
  void detach();
  [[nodiscard]] bool attached() const { return attached_; }

  // Copies the rule tables as they are now. After a failure the previous copy stays.
  Result<void> keep_rules();
  [[nodiscard]] bool has_rules() const { return kept_version_.has_value(); }
  // Replaces the rules of another database by the copy.
  Result<void> put_rules(const std::filesystem::path& into);

  // Copies the whole database as it is now.
  Result<void> copy(const std::filesystem::path& to, const FileAccess& access,
                    std::chrono::milliseconds pause, const std::atomic<bool>& stop);

 private:
  Result<void> attach_as(const std::filesystem::path& file, const char* name);
  [[nodiscard]] std::string columns_of(const std::string& table) const;  // "ID", "Name"
  Result<void> in_transaction(const std::string& statements);

  std::filesystem::path file_;
  std::string table_prefix_;
  sql::Handle memory_;
  bool attached_ = false;
  std::optional<std::int64_t> kept_version_;
};

}  // namespace policyd
