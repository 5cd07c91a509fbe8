// SPDX-License-Identifier: AGPL-3.0-only
// How large the write-ahead log may grow on its disk: moving it into the database can need as much
// space again, and a log that has filled the disk could never be moved. The loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace policyd {

class LogRoom {
 public:
  // The size at which a checkpoint starts, half of the largest if that is less; earlier where the
  // disk is small.
  static constexpr std::int64_t kBeginBytes = 32 * 1024 * 1024;
  // The disk is looked at each time the log has grown by this, or by a sixteenth of what is free.
  static constexpr std::int64_t kLookBytes = 1024 * 1024;
  static constexpr std::int64_t kSmallLookBytes = 64 * 1024;

  LogRoom(std::filesystem::path database, std::int64_t largest_log);

  enum class Need : std::uint8_t { nothing, checkpoint, stop };
  // After a commit with which the log has `bytes`: whether they are to be moved into the database,
  // and whether to stop writing until they are. Cheap.
  Need on_log_size(std::int64_t bytes);
  // After a commit could not be written, or a checkpoint: looks again at the next commit.
  void look_again() { next_look_ = 0; }

  // How many of `most` rows one transaction may write, so that the log can still be moved. Looks.
  [[nodiscard]] std::size_t rows_at_once(std::size_t most) const;

  // As of the last look: so little is free that a log that was moved is to give its space back.
  [[nodiscard]] bool is_tight() const { return tight_; }
  // Whether a log that has been moved could be written again, which may need space. Looks.
  [[nodiscard]] bool can_begin();

 private:
  struct Space {
    std::int64_t free = 0;       // bytes
    std::int64_t allocated = 0;  // to the log's file, which may be longer than the log
  };
  [[nodiscard]] Space space() const;

  std::filesystem::path database_;
  std::int64_t begin_bytes_;
  std::int64_t next_look_ = 0;
  std::int64_t last_bytes_ = 0;
  Need need_ = Need::nothing;
  bool tight_ = false;
};

}  // namespace policyd
