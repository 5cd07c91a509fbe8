// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/status/pause_watch.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "daemon/status/pause_file.hpp"

namespace policyd {

PauseWatch::PauseWatch(EpollLoop& loop, Maillog& log, std::filesystem::path file, Changed changed,
                       std::chrono::milliseconds every)
    : loop_(loop),
      log_(log),
      file_(std::move(file)),
      changed_(std::move(changed)),
      every_(every),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (inotify_ && !loop_.watch(inotify_.get(), *this)) inotify_.reset();
  tick();
}

Pause PauseWatch::current() const { return pause_.in_force(wall_clock()) ? pause_ : Pause{}; }

void PauseWatch::tick() {
  loop_.after(every_, guard_.wrap([this] { tick(); }));
  watch_folder();
  read();
}

// The status file is renamed into the same folder once a second, so each event is cheap: only one
// about the pause file reads it.
void PauseWatch::watch_folder() {
  if (watching_ || !inotify_) return;
  constexpr std::uint32_t kEvents =
      IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR;
  watching_ = ::inotify_add_watch(inotify_.get(), file_.parent_path().c_str(), kEvents) >= 0;
}

void PauseWatch::ready(std::uint32_t /*events*/) {
  alignas(inotify_event) std::array<char, 4096> buffer;
  bool changed = false;
  while (true) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      if ((event->mask & IN_IGNORED) != 0) watching_ = false;  // the folder is gone
      changed = changed || (event->mask & IN_Q_OVERFLOW) != 0 ||
                (event->len > 0 && file_.filename() == event->name);
      at += sizeof(inotify_event) + event->len;
    }
  }
  if (changed) read();
}

void PauseWatch::read() {
  auto found = read_pause(file_);
  if (!found) {
    if (problem_ != found.error().message) {
      problem_ = found.error().message;
      log_.error(fmt::format("{}; limits are not paused by it", problem_));
    }
  } else {
    problem_.clear();
  }
  const Pause now = found ? found->value_or(Pause{}) : Pause{};
  if (now != pause_) {
    pause_ = now;
    changed_(pause_);
  }
  log_changes();
}

void PauseWatch::log_changes() {
  const Pause now = current();
  const bool in_force = now != Pause{};
  if (in_force && now != logged_) {
    const auto until = std::chrono::system_clock::to_time_t(now.until);
    log_.warning(fmt::format(
        "limits are paused until {:%Y-%m-%d %H:%M:%S}: every request is answered DUNNO, and mail "
        "is {}",
        fmt::localtime(until), now.counted ? "counted" : "not counted"));
    logged_ = now;
  }
  if (was_in_force_ && !in_force) {
    log_.notice("the pause has ended: limits are in force again");
    logged_ = {};
  }
  was_in_force_ = in_force;
}

}  // namespace policyd
