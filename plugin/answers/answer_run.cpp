// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/answer_run.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>

namespace limits {
namespace {

using policyd::TimePoint;

constexpr std::chrono::minutes kRatesEvery{10};

TimePoint time_of(const struct stat& status) {
  return TimePoint{std::chrono::seconds{status.st_mtim.tv_sec}};
}

void mark(int fd, TimePoint time) {
  const std::timespec at{
      std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count(), 0};
  const std::array<std::timespec, 2> times = {at, at};
  ::futimens(fd, times.data());
}

}  // namespace

std::filesystem::path answers_file(const std::filesystem::path& zextras_home) {
  return zextras_home / "data" / "cbpolicyd" / "answers";
}

std::optional<TimePoint> last_answer_run(const std::filesystem::path& zextras_home) {
  struct stat status {};
  if (::stat(answers_file(zextras_home).c_str(), &status) != 0) return std::nullopt;
  const TimePoint time = time_of(status);
  return time == TimePoint{} ? std::nullopt : std::optional{time};
}

policyd::Result<AnswerRun> AnswerRun::begin(const std::filesystem::path& file, TimePoint now) {
  AnswerRun out;
  struct stat status {};
  const bool known = ::stat(file.c_str(), &status) == 0;
  out.fd_.reset(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!out.fd_) {
    return policyd::failure(
        fmt::format("cannot open {}: {}", file.string(), std::generic_category().message(errno)));
  }
  out.locked_ = ::flock(out.fd_.get(), LOCK_EX | LOCK_NB) == 0;
  if (!out.locked_) return out;
  const auto period = [](TimePoint time) { return time.time_since_epoch() / kRatesEvery; };
  out.rates_are_due_ = !known || period(time_of(status)) != period(now);
  out.now_ = now;
  if (!known) mark(out.fd_.get(), TimePoint{});  // no run has done anything yet
  return out;
}

void AnswerRun::finish() const { mark(fd_.get(), now_); }

}  // namespace limits
