// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/growing_log.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "plugin/maillog/log_bytes.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;
using policyd::TimePoint;
using policyd::UniqueFd;

Result<std::size_t> read_at(const UniqueFd& fd, std::span<char> into, std::uint64_t offset) {
  for (;;) {
    const ssize_t size = ::pread(fd.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure(std::strerror(errno));
    return static_cast<std::size_t>(size);
  }
}

// Of the first of `offset` bytes.
std::uint64_t hash_of_beginning(const UniqueFd& fd, std::uint64_t offset) {
  std::array<char, 256> bytes{};
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(offset, bytes.size()));
  const auto got = read_at(fd, std::span{bytes}.first(wanted), 0);
  return std::hash<std::string_view>{}(std::string_view{bytes.data(), got.value_or(0)});
}

// A part of a file that is not compressed.
class RangeBytes final : public LogBytes {
 public:
  RangeBytes(const UniqueFd& fd, std::uint64_t begin, std::uint64_t end)
      : fd_(fd), at_(begin), end_(end) {}
  Result<std::size_t> read(std::span<char> into) override {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), end_ - at_));
    if (size == 0) return 0UL;
    auto got = read_at(fd_, into.first(size), at_);
    if (got) at_ += *got;
    return got;
  }
  [[nodiscard]] std::uint64_t position() const override { return at_; }

 private:
  const UniqueFd& fd_;
  std::uint64_t at_;
  std::uint64_t end_;
};

// After the last line feed in the range; its end if that is far away: no line is so long.
Result<std::uint64_t> end_of_lines(const UniqueFd& fd, std::uint64_t begin, std::uint64_t end) {
  std::array<char, 64UL * 1024> block{};
  std::uint64_t to = end;
  while (to > begin && end - to <= LogLines::kMaxLine) {
    const std::uint64_t from = to - std::min<std::uint64_t>(to - begin, block.size());
    const auto got = read_at(fd, std::span{block}.first(static_cast<std::size_t>(to - from)), from);
    if (!got) return tl::unexpected{got.error()};
    const std::string_view text{block.data(), *got};
    const std::size_t feed = text.rfind('\n');
    if (feed != std::string_view::npos) return from + feed + 1;
    to = from;
  }
  return end - begin > LogLines::kMaxLine ? end : begin;
}

class FirstBytes final : public LogBytes {
 public:
  FirstBytes(std::unique_ptr<LogBytes> bytes, std::uint64_t left)
      : bytes_(std::move(bytes)), left_(left) {}
  Result<std::size_t> read(std::span<char> into) override {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_));
    if (size == 0) return 0UL;
    auto got = bytes_->read(into.first(size));
    if (got) left_ -= *got;
    return got;
  }
  [[nodiscard]] std::uint64_t position() const override { return bytes_->position(); }

 private:
  std::unique_ptr<LogBytes> bytes_;
  std::uint64_t left_;
};

// Without the bytes that were read before the file was compressed.
Result<std::unique_ptr<LogBytes>> unpacked_from(const UniqueFd& fd, std::uint64_t offset) {
  UniqueFd copy{::dup(fd.get())};
  if (!copy) return failure(std::strerror(errno));
  auto bytes = LogBytes::open(std::move(copy));
  if (!bytes) return bytes;
  std::array<char, 64UL * 1024> block{};
  while (offset > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(offset, block.size()));
    const auto got = (*bytes)->read(std::span{block}.first(wanted));
    if (!got) return tl::unexpected{got.error()};
    if (*got == 0) break;
    offset -= *got;
  }
  return std::make_unique<FirstBytes>(std::move(*bytes), GrowingLog::kMaxBytes);
}

struct Rotated {
  UniqueFd fd;
  std::optional<std::uint64_t> size;  // if it is the file itself; else it was compressed since
};

// The file that `since` is about, among the rotated ones beside `file`.
std::optional<Rotated> find_rotated(const std::filesystem::path& file, const LogPosition& since,
                                    TimePoint stopped_at) {
  // The clock of the log may be behind, and times of files have whole seconds.
  constexpr std::chrono::minutes kSlack{1};
  const std::string name = file.filename().string();
  std::optional<Rotated> out;
  TimePoint newest = stopped_at - kSlack;
  std::error_code error;
  for (std::filesystem::directory_iterator at{file.parent_path(), error}, end; !error && at != end;
       at.increment(error)) {
    const std::string other = at->path().filename().string();
    if (!other.starts_with(name) || other.size() == name.size()) continue;
    if (other[name.size()] != '.' && other[name.size()] != '-') continue;
    UniqueFd fd{::open(at->path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    struct stat about {};
    if (!fd || ::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) continue;
    if (about.st_dev == since.device && about.st_ino == since.inode) {
      return Rotated{std::move(fd), static_cast<std::uint64_t>(about.st_size)};
    }
    const TimePoint written{std::chrono::seconds{about.st_mtim.tv_sec}};
    const bool packed = other.ends_with(".gz") || other.ends_with(".xz") || other.ends_with(".zst");
    if (!packed || written < newest) continue;
    newest = written;
    out = Rotated{std::move(fd), std::nullopt};
  }
  return out;
}

}  // namespace

Result<GrowingLog> GrowingLog::open(const std::filesystem::path& file,
                                    const std::optional<LogPosition>& since, TimePoint stopped_at) {
  const auto cannot = [&](const char* why) {
    return failure(fmt::format("cannot read the mail log {}: {}", shown(file.string()), why));
  };
  GrowingLog out;
  out.file_ = file;
  out.fd_.reset(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat about {};
  if (!out.fd_ || ::fstat(out.fd_.get(), &about) != 0) return cannot(std::strerror(errno));
  if (!S_ISREG(about.st_mode)) return cannot("it is not a file");
  out.size_ = static_cast<std::uint64_t>(about.st_size);
  out.begin_ = {about.st_dev, about.st_ino, 0, 0};
  if (!since) return out;
  const bool same_file = since->device == about.st_dev && since->inode == about.st_ino &&
                         since->beginning == hash_of_beginning(out.fd_, since->offset);
  if (same_file) {
    if (since->offset <= out.size_) out.begin_.offset = since->offset;
    return out;
  }
  auto rotated = find_rotated(file, *since, stopped_at);
  if (!rotated || (!rotated->size && since->offset > kMaxUnpacked)) return out;
  out.older_ = std::move(rotated->fd);
  out.older_offset_ = since->offset;
  out.older_size_ = rotated->size;
  return out;
}

Result<LogPosition> GrowingLog::read(const std::function<void(LogLines&)>& take) const {
  const auto cannot = [&](const policyd::Error& why) {
    return failure(
        fmt::format("cannot read the mail log {}: {}", shown(file_.string()), why.message));
  };
  const auto newest_of = [](std::uint64_t begin, std::uint64_t size) {
    return std::max(begin, size - std::min<std::uint64_t>(size, kMaxBytes));
  };
  if (older_ && older_size_) {
    const std::uint64_t size = *older_size_;
    const std::uint64_t begin = newest_of(std::min(older_offset_, size), size);
    LogLines lines{std::make_unique<RangeBytes>(older_, begin, size)};
    take(lines);
  } else if (older_) {
    // What cannot be unpacked is lost; the log itself is still to be read.
    if (auto bytes = unpacked_from(older_, older_offset_)) {
      LogLines lines{std::move(*bytes)};
      take(lines);
    }
  }
  const std::uint64_t begin = newest_of(begin_.offset, size_);
  const auto end = end_of_lines(fd_, begin, size_);
  if (!end) return cannot(end.error());
  LogLines lines{std::make_unique<RangeBytes>(fd_, begin, *end)};
  take(lines);
  if (!lines.problem().empty()) return cannot(policyd::Error{lines.problem()});
  return LogPosition{begin_.device, begin_.inode, *end, hash_of_beginning(fd_, *end)};
}

}  // namespace limits
