// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/cleanup_schedule.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "daemon/cleanup/fold_counters.hpp"

namespace policyd {
namespace {

constexpr int kQuietHour = 4;
constexpr int kQuietMinute = 30;
constexpr std::chrono::hours kBetween{20};
constexpr std::chrono::hours kAfterFailure{1};

TimePoint quiet_time(std::tm day, int days_later) {
  day.tm_mday += days_later;
  day.tm_hour = kQuietHour;
  day.tm_min = kQuietMinute;
  day.tm_sec = 0;
  day.tm_isdst = -1;
  return std::chrono::time_point_cast<Millis>(
      std::chrono::system_clock::from_time_t(::mktime(&day)));
}

}  // namespace

TimePoint next_cleanup(std::optional<TimePoint> last, TimePoint started, TimePoint now) {
  const TimePoint from = last ? std::min(*last, now) + kBetween : started;
  const std::time_t time = std::chrono::system_clock::to_time_t(from);
  std::tm day{};
  ::localtime_r(&time, &day);
  const TimePoint that_day = quiet_time(day, 0);
  return that_day >= from ? that_day : quiet_time(day, 1);
}

CleanupSchedule::CleanupSchedule(Maillog& log, CleanupSettings settings, Clock clock,
                                 Millis check_every)
    : log_(log),
      clock_(std::move(clock)),
      check_every_(check_every),
      settings_(std::move(settings)),
      started_(clock_()),
      thread_("cleanup", [this] { work(); }) {}

void CleanupSchedule::configure(std::chrono::hours sessions) {
  const auto lock = thread_.lock();
  settings_.sessions = sessions;
}

void CleanupSchedule::work() {
  auto lock = thread_.lock();
  fold_once(lock);
  while (thread_.wait_for(lock, check_every_)) {
    fold_once(lock);
    const CleanupSettings settings = settings_;
    lock.unlock();
    clean_up_if_due(settings);
    lock.lock();
  }
}

// Tried again later if the database cannot be written, which the store reports.
void CleanupSchedule::fold_once(WorkerThread::Lock& lock) {
  if (folded_) return;
  const CleanupSettings settings = settings_;
  lock.unlock();
  const auto count = fold_counters(settings, clock_(), thread_.stopping());
  if (count.value_or(0) > 0) {
    log_.notice(
        fmt::format("counters under other spellings of a name (capitals, accents, blanks): "
                    "{} joined with the name's own",
                    *count));
  }
  lock.lock();
  folded_ = count.has_value();
}

void CleanupSchedule::clean_up_if_due(const CleanupSettings& settings) {
  const TimePoint now = clock_();
  // If the database cannot be read, the store reports it.
  const auto last = last_cleanup(settings);
  if (!last || now < not_before_ || now < next_cleanup(*last, started_, now)) return;
  const auto done = clean_up(
      settings, now, [this](std::string_view line) { log_.notice(line); }, thread_.stopping());
  if (done) return;
  log_.error(fmt::format("clean-up: {}", done.error().message));
  not_before_ = now + kAfterFailure;
}

}  // namespace policyd
