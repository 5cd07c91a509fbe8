// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/captured_log.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace limits {

policyd::Result<CapturedLog> CapturedLog::make() {
  std::error_code code;
  const auto folder = std::filesystem::temp_directory_path(code);
  std::string name = (folder / "carbonio-limits-XXXXXX").string();
  policyd::UniqueFd file{::mkostemp(name.data(), O_CLOEXEC)};
  if (file.get() < 0) {
    return policyd::failure(
        fmt::format("cannot make a file in {}: {}", folder.string(), std::strerror(errno)));
  }
  policyd::LogSettings settings;
  settings.file = name;
  settings.level = policyd::LogLevel::info;
  auto log = policyd::Maillog::open(settings);
  ::unlink(name.c_str());
  if (!log) return tl::unexpected{log.error()};
  return CapturedLog{std::move(file), std::move(*log)};
}

std::vector<std::string> CapturedLog::take() {
  log_->flush();
  std::array<char, 4096> part{};
  for (;;) {
    const ssize_t got = ::read(file_.get(), part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    rest_.append(part.data(), static_cast<std::size_t>(got));
  }
  std::vector<std::string> lines;
  std::size_t end = 0;
  while ((end = rest_.find('\n')) != std::string::npos) {
    std::string line = rest_.substr(0, end);
    rest_.erase(0, end + 1);
    // "[2026/11/22-12:00:00 - 4711] [CORE] INFO: module=..."
    constexpr std::string_view kMark = "] [CORE] ";
    const std::size_t mark = line.find(kMark);
    const std::size_t colon = mark == std::string::npos ? mark : line.find(": ", mark);
    lines.push_back(colon == std::string::npos ? line : line.substr(colon + 2));
  }
  return lines;
}

}  // namespace limits
