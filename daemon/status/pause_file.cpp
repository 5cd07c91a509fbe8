// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/pause_file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "daemon/base/read_file.hpp"
#include "daemon/base/unique_fd.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxPauseBytes = 4096;
constexpr std::size_t kMaxWho = 255;
constexpr double kMaxSeconds = 1e11;

// Throws nlohmann's exceptions.
Pause pause_of(const nlohmann::json& from) {
  const auto until_s = from.at("until").get<double>();
  if (!(until_s >= 0 && until_s <= kMaxSeconds)) throw std::runtime_error("not a valid time");
  return {TimePoint{Millis{std::llround(until_s * 1000)}}, from.at("counted").get<bool>(),
          from.value("who", "").substr(0, kMaxWho)};
}

bool may_pause(const fs::path& file) {
  struct stat status {};
  struct stat folder {};
  if (::lstat(file.c_str(), &status) != 0 || ::stat(file.parent_path().c_str(), &folder) != 0) {
    return true;  // reading it says why
  }
  return status.st_uid == 0 || status.st_uid == ::geteuid() || status.st_uid == folder.st_uid;
}

}  // namespace

fs::path pause_file_of(const fs::path& pid_file) {
  fs::path file = pid_file;
  if (file.extension() == ".pid") file.replace_extension();
  return file += ".pause.json";
}

Result<std::optional<Pause>> read_pause(const fs::path& file) {
  const auto text = read_file(file, kMaxPauseBytes);
  if (!text && (text.error().code == ENOENT || text.error().code == ENOTDIR)) return std::nullopt;
  if (!text) return failure(fmt::format("cannot read {}: {}", file.string(), text.error().message));
  if (!may_pause(file)) {
    return failure(fmt::format("{} does not belong to the daemon's user or root", file.string()));
  }
  try {
    return pause_of(nlohmann::json::parse(*text));
  } catch (const std::exception& error) {
    return failure(fmt::format("{} is not a pause: {}", file.string(), error.what()));
  }
}

Result<void> write_pause(const fs::path& file, const Pause& pause) {
  const fs::path fresh = fmt::format("{}.{}", file.string(), ::getpid());
  const std::string text =
      nlohmann::json{
          {"until", to_seconds(pause.until)}, {"counted", pause.counted}, {"who", pause.who}}
          .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
      "\n";
  ::unlink(fresh.c_str());
  const UniqueFd out{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  // fchmod: the daemon reads it as its own user, whatever our umask.
  const bool written =
      out && ::fchmod(out.get(), 0644) == 0 &&
      ::write(out.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
      ::rename(fresh.c_str(), file.c_str()) == 0;
  if (written) return {};
  const std::string why = std::strerror(errno);
  ::unlink(fresh.c_str());
  return failure(fmt::format("cannot write {}: {}", file.string(), why));
}

Result<bool> remove_pause(const fs::path& file) {
  if (::unlink(file.c_str()) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failure(fmt::format("cannot remove {}: {}", file.string(), std::strerror(errno)));
}

}  // namespace policyd
