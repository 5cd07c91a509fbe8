// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/file_at_start.hpp"

#include <fmt/format.h>

#include <system_error>

#include "daemon/base/shell_words.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/store/recovery/replacement.hpp"

namespace policyd {

Result<void> FileAtStart::create() {
  if (auto created = create_database(file_, table_prefix_); !created) {
    return created;
  }
  log_.notice(fmt::format("created the database {}", file_.string()));
  std::error_code code;
  if (std::filesystem::exists(backup_of(file_), code)) {
    log_.warning(fmt::format(
        "there is a backup of an earlier database; to restore it: carbonio-limits restore {}",
        shell_word(backup_of(file_).string())));
  }
  return {};
}

// Reads the whole file, so not each time that it is tried.
Result<void> FileAtStart::replace_if_damaged(std::string_view why) {
  const auto state = DatabaseState::of(file_);
  const auto now = std::chrono::steady_clock::now();
  if (examined_state_ == state && now - examined_ < examine_after_) {
    return failure("examined already");
  }
  examined_state_ = state;
  examined_ = now;
  const auto replaced = replace_damaged_by_backup(file_);
  if (!replaced) return tl::unexpected{replaced.error()};
  log_.error(fmt::format("{}; {}", why, replaced->what));
  return {};
}

}  // namespace policyd
