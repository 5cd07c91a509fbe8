// SPDX-License-Identifier: AGPL-3.0-only
// Follows the pause file: a change reaches the engine in the turn of the loop that follows it,
// before any question that came later, because inotify makes it an event like a request. Every
// second it is also read without one, in case the folder was missing or the kernel has no watch
// left. The loop's thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/engine/pause.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/epoll_loop.hpp"

namespace policyd {

class PauseWatch final : public EpollLoop::Client {
 public:
  // Calls `changed` with each pause read, and with an empty one if there is none.
  using Changed = std::function<void(const Pause&)>;

  PauseWatch(EpollLoop& loop, Maillog& log, std::filesystem::path file, Changed changed,
             std::chrono::milliseconds every = std::chrono::seconds{1});

  void ready(std::uint32_t events) override;

  // The pause in force; its `until` is 1970 if there is none.
  [[nodiscard]] Pause current() const;
  // As the file last said, even if that is over: it may name who ended a pause.
  [[nodiscard]] const Pause& last_read() const { return pause_; }

 private:
  void tick();
  void watch_folder();
  void read();
  void log_changes();

  EpollLoop& loop_;
  Maillog& log_;
  std::filesystem::path file_;
  Changed changed_;
  std::chrono::milliseconds every_;
  UniqueFd inotify_;
  bool watching_ = false;
  Pause pause_;
  bool was_in_force_ = false;
  Pause logged_;
  std::string problem_;  // logged already
  EventLoop::Guard guard_;
};

}  // namespace policyd
