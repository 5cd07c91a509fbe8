// SPDX-License-Identifier: AGPL-3.0-only
// The database's file before the store could open it: created where there is none, and replaced by
// its backup if it is damaged. The loop's thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/result.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {

class FileAtStart {
 public:
  // `examine_after`: a file that has not changed is examined again.
  FileAtStart(Maillog& log, std::filesystem::path file, std::string table_prefix,
              Millis examine_after)
      : log_(log),
        file_(std::move(file)),
        table_prefix_(std::move(table_prefix)),
        examine_after_(examine_after) {}

  // The file must not exist or be empty.
  Result<void> create();
  // `why` it cannot be opened. An Error if it is not replaced.
  Result<void> replace_if_damaged(std::string_view why);

 private:
  Maillog& log_;
  std::filesystem::path file_;
  std::string table_prefix_;
  Millis examine_after_;
  std::optional<DatabaseState> examined_state_;  // as it was when damage was looked for
  std::chrono::steady_clock::time_point examined_;
};

}  // namespace policyd
