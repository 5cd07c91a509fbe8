// SPDX-License-Identifier: AGPL-3.0-only
// The lines of a log, one at a time, in a buffer of fixed size.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugin/maillog/log_bytes.hpp"

namespace limits {

class LogLines {
 public:
  static constexpr std::size_t kMaxLine = 64UL * 1024;  // the rest of a longer line is left out

  explicit LogLines(std::unique_ptr<LogBytes> bytes)
      : bytes_(std::move(bytes)), buffer_(4 * kMaxLine), skipping_(bytes_->is_cut()) {}

  // Without its line feed; valid until the next call. Nullopt at the end, and after a problem: see
  // problem(). An unfinished line at the end is one, but after a problem it is not.
  std::optional<std::string_view> next() {
    for (;;) {
      const char* const begin = buffer_.data() + begin_;
      const std::size_t size = end_ - begin_;
      const auto* const feed = static_cast<const char*>(std::memchr(begin, '\n', size));
      if (feed != nullptr) {
        begin_ += static_cast<std::size_t>(feed - begin) + 1;
        if (std::exchange(skipping_, false)) continue;
        const std::string_view line{begin, static_cast<std::size_t>(feed - begin)};
        if (line.size() > kMaxLine) ++cut_lines_;
        return line.substr(0, kMaxLine);
      }
      if (at_end_) {
        begin_ = end_;
        if (size == 0 || skipping_ || !problem_.empty()) return std::nullopt;
        unfinished_ = true;
        return std::string_view{begin, std::min(size, kMaxLine)};
      }
      if (skipping_) {
        begin_ = end_ = 0;
      } else if (size > kMaxLine) {
        begin_ = end_ = 0;
        skipping_ = true;
        ++cut_lines_;
        return std::string_view{begin, kMaxLine};
      }
      fill();
    }
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }
  // Whether the last line had no line feed: it may be written at this moment.
  [[nodiscard]] bool unfinished() const { return unfinished_; }
  // Whether the beginning of the log is left out.
  [[nodiscard]] bool is_cut() const { return bytes_->is_cut(); }
  [[nodiscard]] std::uint64_t cut_lines() const { return cut_lines_; }
  [[nodiscard]] std::uint64_t position() const { return bytes_->position(); }

 private:
  void fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    const auto size = bytes_->read(std::span{buffer_}.subspan(end_));
    if (!size) problem_ = size.error().message;
    at_end_ = size.value_or(0) == 0;
    end_ += size.value_or(0);
  }

  std::unique_ptr<LogBytes> bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
  bool skipping_;  // the rest of a line that is too long, or of one whose beginning is left out
  bool unfinished_ = false;
  std::uint64_t cut_lines_ = 0;
  std::string problem_;
};

}  // namespace limits
