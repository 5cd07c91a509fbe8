// SPDX-License-Identifier: AGPL-3.0-only
// A log that grows, read on from where the last reading has stopped: whole lines only, and over its
// rotation. The rest of the file that was rotated meanwhile comes first, even if it has been
// compressed since. A log that was truncated is read from its beginning.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "daemon/base/clock.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/maillog/log_lines.hpp"

namespace limits {

struct LogPosition {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t offset = 0;
  std::uint64_t beginning = 0;  // a hash of the first bytes: inodes are given again

  bool operator==(const LogPosition&) const = default;
};

// Files that are open: the command opens them as the user who runs it, and may be another one when
// it reads them.
class GrowingLog {
 public:
  static constexpr std::uint64_t kMaxBytes = 256UL * 1024 * 1024;      // the newest, of each file
  static constexpr std::uint64_t kMaxUnpacked = 4096UL * 1024 * 1024;  // before the position

  // `since`: where the last reading has stopped, at `stopped_at`; none: only this file. An Error if
  // it cannot be opened.
  static Result<GrowingLog> open(const std::filesystem::path& file,
                                 const std::optional<LogPosition>& since,
                                 policyd::TimePoint stopped_at);

  // Calls `take` with the lines of each part, oldest first; where the next reading begins. An Error
  // if it cannot be read to its end: since the next reading begins where this one did, what `take`
  // was given is not to be counted.
  Result<LogPosition> read(const std::function<void(LogLines&)>& take) const;

 private:
  policyd::UniqueFd fd_;
  std::filesystem::path file_;
  LogPosition begin_;
  std::uint64_t size_ = 0;
  // The file before it, if there is more in it, and where it begins.
  policyd::UniqueFd older_;
  std::uint64_t older_offset_ = 0;
  std::optional<std::uint64_t> older_size_;  // none: it is compressed
};

}  // namespace limits
