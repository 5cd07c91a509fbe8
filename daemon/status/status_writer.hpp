// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's side of status: on a timer of the loop it collects the current status and, if that
// differs from what was written last, has its thread write a new file and rename it into place, so
// that no answer waits for the disk. Nothing is done per request. If the file cannot be written,
// the log reports it once, and each tick tries again. The thread also writes the file for
// Prometheus' textfile collector, whose age tells whether the daemon lives. All calls on the loop's
// thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/base/worker_thread.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/status/status.hpp"

namespace policyd {

class StatusWriter {
 public:
  using Collect = std::function<Status()>;

  // Writes the file before it returns, then whenever the status changed, at most once per `every`.
  StatusWriter(EventLoop& loop, Maillog& log, std::filesystem::path file,
               std::filesystem::path metrics_file, Collect collect,
               std::chrono::milliseconds every = std::chrono::seconds{1});
  // Removes the file, unless it belongs to another daemon by now; in the file for Prometheus the
  // daemon is not up.
  ~StatusWriter();

  // Empty: none. Nothing is written while its folder is missing. The previous file is removed,
  // since nobody writes it any longer.
  void set_metrics_file(std::filesystem::path file);

 private:
  struct Job {
    std::shared_ptr<const Status> status;  // null: none
    bool changed = false;
    std::filesystem::path metrics_file;  // empty: not now
    std::vector<std::filesystem::path> former_files;
  };
  void tick();
  void work();  // the thread
  [[nodiscard]] Result<void> write(const Status& status) const;
  void written(const Job& job, const Result<void>& status, const Result<void>& metrics);

  EventLoop& loop_;
  Maillog& log_;
  std::filesystem::path file_;
  std::filesystem::path metrics_file_;
  std::vector<std::filesystem::path> former_files_;  // to be removed
  Collect collect_;
  std::chrono::milliseconds every_;
  // shared_ptr: compared here while the thread writes it.
  std::shared_ptr<const Status> written_;
  bool writing_ = false;
  std::chrono::milliseconds metrics_due_{0};  // in
  bool failure_reported_ = false;             // since the last success
  bool metrics_failure_reported_ = false;
  EventLoop::Guard guard_;
  Job to_write_;  // under the thread's lock
  WorkerThread thread_;
};

}  // namespace policyd
