// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's side of status: on a timer of the loop it asks for the status as it is now and,
// where that differs from what was written last, has a thread rename a fresh file into place: no
// answer waits for a disk. Nothing is done for a request. Where the file cannot be written the log
// says so once, and it is tried again. The loop's thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <thread>

#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/status/status.hpp"

namespace policyd {

class StatusWriter {
 public:
  using Collect = std::function<Status()>;

  // Written for the first time before this returns, then at most every `every`.
  StatusWriter(EventLoop& loop, Maillog& log, std::filesystem::path file, Collect collect,
               std::chrono::milliseconds every = std::chrono::seconds{1});
  // Removes the file, unless another daemon has put its own there.
  ~StatusWriter();
  StatusWriter(const StatusWriter&) = delete;
  StatusWriter& operator=(const StatusWriter&) = delete;

 private:
  void tick();
  [[nodiscard]] Result<void> write(const Status& status) const;
  void wrote(std::shared_ptr<const Status> status, const Result<void>& done);

  EventLoop& loop_;
  Maillog& log_;
  std::filesystem::path file_;
  Collect collect_;
  std::chrono::milliseconds every_;
  std::shared_ptr<const Status> written_;
  bool writing_ = false;
  std::thread thread_;  // the last one that wrote
  bool told_ = false;   // that it cannot be written, since it last could
  // shared_ptr: the timer may fire after this object is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace policyd
