// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/unstored_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "daemon/base/read_file.hpp"
#include "daemon/base/replace_file.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/counting/state_bytes.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFirstLine = "carbonio-limits unstored 1\n";
constexpr std::string_view kTail = ".unstored";
constexpr std::size_t kMaxPath = 4096;

// FNV-1a: finds a file that was cut off or overwritten, nothing else.
std::int64_t checksum(std::string_view bytes) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return static_cast<std::int64_t>(hash);
}

// What anybody else put there is not ours to trust.
bool is_ours(const struct stat& status) {
  return S_ISREG(status.st_mode) && (status.st_uid == ::geteuid() || status.st_uid == 0);
}

}  // namespace

UnstoredFile::UnstoredFile(Maillog& log, const fs::path& database, const fs::path& run_folder)
    : log_(log), database_(database), places_{fs::path{database} += kTail, {}} {
  if (!run_folder.empty()) places_[1] = run_folder / (database.filename().string() += kTail);
}

Result<fs::path> UnstoredFile::write(std::string_view bytes) const {
  if (bytes.size() > kMaxBytes) {
    return failure(fmt::format("{} MiB are too much for a file", bytes.size() >> 20));
  }
  std::string all{kFirstLine};
  put_text(all, database_.native());
  all += bytes;
  put_integer(all, checksum(all));
  std::string reasons;
  for (const fs::path& place : places_) {
    if (place.empty()) continue;
    const auto written = replace_file(place, all, 0600);
    if (written) {
      std::error_code ignored;
      for (const fs::path& other : places_) {
        if (!other.empty() && other != place) fs::remove(other, ignored);
      }
      return place;
    }
    reasons += fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", place.string(),
                           written.error().message);
  }
  return failure(std::move(reasons));
}

std::optional<UnstoredFile::Content> UnstoredFile::read() const {
  std::optional<Content> latest;
  std::optional<fs::file_time_type> latest_time;
  for (const fs::path& place : places_) {
    std::error_code code;
    const auto time = place.empty() ? fs::file_time_type{} : fs::last_write_time(place, code);
    if (place.empty() || code || (latest_time && time <= *latest_time)) continue;
    if (auto content = read_from(place)) {
      latest = std::move(content);
      latest_time = time;
    }
  }
  return latest;
}

std::optional<UnstoredFile::Content> UnstoredFile::read_from(const fs::path& file) const {
  const UniqueFd fd{::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !is_ours(status)) {
    log_.warning(fmt::format("{} is not a file of this user and is ignored", file.string()));
    return std::nullopt;
  }
  auto all = read_to_end(fd.get(), kMaxBytes + kMaxPath + 64);
  std::string why = all ? "it is not complete" : all.error().message;
  if (all && all->size() >= kFirstLine.size() + kDoubleBytes) {
    const std::size_t end = all->size() - kDoubleBytes;
    const std::string_view view{*all};
    StateReader in{view.substr(kFirstLine.size(), end - kFirstLine.size())};
    const auto database = in.text(kMaxPath);
    const bool sound = view.starts_with(kFirstLine) && database &&
                       StateReader{view.substr(end)}.integer() == checksum(view.substr(0, end));
    if (sound && *database != database_.native()) return std::nullopt;
    if (sound) return Content{file, std::string{in.rest()}};
  }
  std::error_code code;
  const fs::path aside = fs::path{file} += ".damaged";
  fs::rename(file, aside, code);
  log_.error(fmt::format("{}: {}; its counters are lost{}", file.string(), why,
                         code ? "" : fmt::format(", and it is kept as {}", aside.string())));
  return std::nullopt;
}

void UnstoredFile::remove() const {
  std::error_code ignored;
  for (const fs::path& place : places_) {
    if (!place.empty()) fs::remove(place, ignored);
  }
}

}  // namespace policyd
