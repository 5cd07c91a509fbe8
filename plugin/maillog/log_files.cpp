// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/maillog/log_files.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "daemon/base/read_file.hpp"
#include "plugin/maillog/who_may_read.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;
using policyd::TimePoint;
using policyd::UniqueFd;

constexpr std::string_view kCarbonioLog = "carbonio.log";
constexpr std::string_view kStandardInput = "-";
constexpr int kFirstLines = 100;  // in which the first time is looked for

std::string name_of_log(const std::filesystem::path& file) {
  return file == kStandardInput ? "standard input" : shown(file.string());
}

tl::unexpected<policyd::Error> cannot_read(const std::filesystem::path& file,
                                           std::string_view why) {
  return failure(fmt::format("cannot read {}: {}", name_of_log(file), why));
}

// The file itself stays open for another reading.
Result<LogLines> lines_of_log(const std::filesystem::path& file, const UniqueFd& fd) {
  UniqueFd copy{::dup(fd.get())};
  if (!copy) return cannot_read(file, std::strerror(errno));
  auto bytes = LogBytes::open(std::move(copy));
  if (!bytes) return cannot_read(file, bytes.error().message);
  return LogLines{std::move(*bytes)};
}

// An Error if nothing can be learned from what was read.
Result<void> check_log(const MailReader::Counts& counts, const std::string& which) {
  if (counts.lines == 0) return failure(fmt::format("{} empty", which));
  if (counts.unreadable == counts.lines) {
    return failure(fmt::format("{} not {}; the first line is '{}'", which,
                               which.ends_with("are") ? "syslog files" : "a syslog file",
                               shown(counts.unreadable_line)));
  }
  if (counts.postfix == 0) {
    return failure(
        "the log has no line of Postfix, as on a host that is no MTA; name the log of an MTA");
  }
  return {};
}

}  // namespace

std::vector<std::filesystem::path> carbonio_log_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  std::error_code error;
  for (std::filesystem::directory_iterator at{folder, error}, end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(kCarbonioLog)) continue;
    const std::string_view rest = std::string_view{name}.substr(kCarbonioLog.size());
    if (rest.empty() || rest[0] == '-' || rest[0] == '.') out.push_back(at->path());
  }
  return out;
}

Result<OpenLog::Part> OpenLog::open_part(const std::filesystem::path& file, TimePoint now) {
  const bool standard_input = file == kStandardInput;
  Part out{file,
           standard_input ? UniqueFd{::dup(STDIN_FILENO)} : policyd::open_to_read(file),
           0,
           now,
           {}};
  if (!out.fd) {
    const int code = errno;
    return cannot_read(
        file, fmt::format("{}{}", std::strerror(code), code == EACCES ? advice_to_read(file) : ""));
  }
  struct stat about {};
  if (::fstat(out.fd.get(), &about) != 0) return cannot_read(file, std::strerror(errno));
  if (S_ISDIR(about.st_mode)) return cannot_read(file, "it is a folder; name the files in it");
  if (!S_ISREG(about.st_mode)) return out;  // a pipe can be read only once
  out.size = static_cast<std::uint64_t>(about.st_size);
  out.written = TimePoint{std::chrono::seconds{about.st_mtim.tv_sec}};
  auto lines = lines_of_log(file, out.fd);
  if (!lines) return tl::unexpected{lines.error()};
  LogStamps stamps{std::min(out.written, now)};
  for (int i = 0; i < kFirstLines && !out.first; ++i) {
    const auto line = lines->next();
    if (!line) break;
    const auto stamp = stamps.parse(*line);
    if (stamp) out.first = stamp->time;
  }
  ::lseek(out.fd.get(), 0, SEEK_SET);
  return out;
}

Result<OpenLog> OpenLog::open(const std::vector<std::filesystem::path>& files, TimePoint since,
                              TimePoint now) {
  if (files.size() > kMaxFiles) {
    return failure(
        fmt::format("{} files are more than {}; join some of them: cat FILE... | "
                    "carbonio-limits ... -",
                    files.size(), kMaxFiles));
  }
  OpenLog out;
  out.since_ = since;
  out.now_ = now;
  out.parts_.reserve(files.size());
  for (const auto& file : files) {
    auto part = open_part(file, now);
    if (!part) return tl::unexpected{part.error()};
    if (part->written >= since) out.parts_.push_back(std::move(*part));
  }
  std::stable_sort(out.parts_.begin(), out.parts_.end(), [now](const Part& a, const Part& b) {
    return std::pair{a.first.value_or(now), a.file} < std::pair{b.first.value_or(now), b.file};
  });
  return out;
}

Result<ReadLog> OpenLog::read(RefusalTexts texts, const LogProgress& progress) const {
  ReadLog out;
  if (parts_.empty()) {
    return failure("all files were last written before the time that --since names");
  }
  std::uint64_t all = 0;
  for (const Part& part : parts_) all += part.size;
  MailReader reader{since_, std::move(texts)};
  std::uint64_t done = 0;
  for (const Part& part : parts_) {
    auto lines = lines_of_log(part.file, part.fd);
    if (!lines) return tl::unexpected{lines.error()};
    bool wanted = true;
    reader.read(*lines, LogStamps{std::min(part.written, now_)}, [&] {
      wanted = !progress || progress(done + lines->position(), all);
      return wanted;
    });
    if (!wanted) return failure("the log was not read to its end: no one waits for it");
    if (!lines->problem().empty()) {
      out.problems.push_back(fmt::format("{}: {}", name_of_log(part.file), lines->problem()));
    }
    done += part.size;
    ++out.files;
  }
  out.mails = reader.take();
  out.counts = reader.counts();
  auto checked = check_log(
      out.counts, parts_.size() == 1 ? name_of_log(parts_.front().file) + " is" : "the files are");
  if (!checked && out.counts.lines == 0 && !out.problems.empty()) {
    return failure("cannot read " + out.problems.front());
  }
  if (!checked) return tl::unexpected{checked.error()};
  return out;
}

}  // namespace limits
