// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/log_room.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {

namespace fs = std::filesystem;

namespace {
// The pages that a row may change, twice: in the log and, where the file grows, in the database.
constexpr std::int64_t kBytesARow = 16 * 1024;
constexpr std::size_t kMinRows = 20;
}  // namespace

LogRoom::LogRoom(fs::path database, std::int64_t largest_log)
    : database_(std::move(database)), begin_bytes_(std::min(kBeginBytes, largest_log / 2)) {}

LogRoom::Space LogRoom::space() const {
  Space out{std::numeric_limits<std::int64_t>::max() / 4, 0};
  struct statvfs disk {};
  const fs::path real = real_path(database_);
  if (::statvfs(real.parent_path().c_str(), &disk) == 0) {
    out.free = static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize);
  }
  std::error_code code;
  const auto size = fs::file_size(fs::path{real} += "-wal", code);
  if (!code) out.allocated = static_cast<std::int64_t>(size);
  return out;
}

LogRoom::Need LogRoom::on_log_size(std::int64_t bytes) {
  const bool restarted = bytes < std::exchange(last_bytes_, bytes);
  if (restarted || bytes >= next_look_) {
    const Space now = space();
    const std::int64_t step = std::clamp(now.free / 16, kSmallLookBytes, kLookBytes);
    next_look_ = bytes + step;
    const bool grows = next_look_ > now.allocated;
    tight_ = now.free < 2 * std::max(now.allocated, bytes) + step;
    // All frames may be new pages of the database.
    need_ = grows && now.free < bytes + 2 * step ? Need::stop
            : now.free < 2 * bytes               ? Need::checkpoint
                                                 : Need::nothing;
  }
  return need_ == Need::nothing && bytes >= begin_bytes_ ? Need::checkpoint : need_;
}

std::size_t LogRoom::rows_at_once(std::size_t most) const {
  return std::clamp(static_cast<std::size_t>(space().free / kBytesARow), std::min(kMinRows, most),
                    most);
}

bool LogRoom::can_begin() {
  const Space now = space();
  look_again();
  return now.allocated >= 2 * kSmallLookBytes || now.free >= 2 * kSmallLookBytes;
}

}  // namespace policyd
