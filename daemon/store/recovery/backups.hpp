// SPDX-License-Identifier: AGPL-3.0-only
// Makes a backup beside the database after the rules changed, at most once an hour, and replaces a
// file that was lost. On a thread of its own with a connection of its own, in steps, so that no
// answer waits for it. All calls on the loop's thread.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/base/worker_thread.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/live_copy.hpp"
#include "daemon/store/recovery/replacement.hpp"

namespace policyd {

class Backups {
 public:
  using Replaced = std::function<void(const Result<Replacement>&)>;

  // A backup at most once per `every`; 0: none.
  Backups(EventLoop& loop, Maillog& log, const std::filesystem::path& file,
          const std::string& table_prefix, std::chrono::seconds every);
  ~Backups();  // interrupts a copy in progress

  // The database with these files is now open.
  void opened(const DatabaseIds& ids);
  // Rules of this version are in force. Cheap if nothing changed.
  void on_rules_version(std::int64_t version);
  // The open file is lost: replaces it by the best that can be recovered, and calls `replaced` on
  // the loop.
  void replace(FileFinding::Kind lost, Replaced replaced);
  // The same when the loop has ended.
  std::future<Result<Replacement>> replace_at_end(FileFinding::Kind lost);

 private:
  using Steady = std::chrono::steady_clock;

  void work();
  void hold_open();
  void keep_rules(std::int64_t version);
  void back_up();
  Result<void> make_backup();
  void request(FileFinding::Kind lost, Replaced done);  // `done` is called on the thread
  [[nodiscard]] std::optional<Steady::time_point> next() const;
  [[nodiscard]] Steady::time_point backup_due();

  EventLoop& loop_;
  Maillog& log_;
  const std::filesystem::path file_;
  const std::string table_prefix_;
  const std::chrono::seconds every_;
  std::int64_t version_ = -1;  // the loop's

  // Shared with the thread.
  std::optional<DatabaseIds> opened_;
  std::optional<std::int64_t> changed_;  // to this version, not copied yet
  std::optional<std::pair<FileFinding::Kind, Replaced>> lost_;
  // Interrupts a copy in progress.
  std::atomic<bool> hurry_ = false;

  // The thread's.
  LiveCopy live_;
  DatabaseIds ids_;
  FileAccess access_;
  Steady::time_point settled_at_;
  std::optional<std::int64_t> backed_up_;   // rules version of the backup
  std::optional<std::int64_t> to_back_up_;  // rules version without a backup
  Steady::time_point due_;

  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
