// SPDX-License-Identifier: AGPL-3.0-only
// Makes a backup beside the database after rules changed, at most once an hour, and puts another
// file in the place of one that was lost. On a thread of its own with a connection of its own, in
// steps, so that no answer waits for it. All calls on the loop's thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "daemon/base/clock.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/live_copy.hpp"
#include "daemon/store/recovery/replacement.hpp"

namespace policyd {

struct BackupSettings {
  std::filesystem::path file;
  std::string table_prefix;
  std::chrono::seconds every{3600};  // at most; 0: no backups
  Millis settle{500};                // after a change, for the next ones
};

class Backups {
 public:
  using Replaced = std::function<void(const Result<Replacement>&)>;

  Backups(EventLoop& loop, Maillog& log, BackupSettings settings);
  ~Backups();  // ends a copy that is under way
  Backups(const Backups&) = delete;
  Backups& operator=(const Backups&) = delete;

  // The database of this name is open now.
  void opened(const DatabaseIds& ids);
  // These rules are in force. Cheap where nothing changed.
  void rules_are(std::int64_t version);
  // What the names stand for is not what was opened, or no sound database any more: puts in its
  // place what can be had, and calls `replaced` on the loop.
  void replace(Lost lost, Replaced replaced);

 private:
  using Steady = std::chrono::steady_clock;

  void work();
  void hold_open();
  void keep_rules(std::int64_t version);
  void back_up();
  Result<void> make_backup();
  void do_replace(Lost lost, const Replaced& replaced);
  [[nodiscard]] std::optional<Steady::time_point> next() const;
  [[nodiscard]] Steady::time_point backup_due();

  EventLoop& loop_;
  Maillog& log_;
  BackupSettings settings_;
  std::int64_t told_ = -1;  // the loop's

  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<DatabaseIds> opened_;
  std::optional<std::int64_t> changed_;  // to this version, not yet kept
  std::optional<std::pair<Lost, Replaced>> lost_;
  // Ends a copy that is under way.
  std::atomic<bool> hurry_ = false;
  bool stop_ = false;

  // The thread's.
  LiveCopy live_;
  DatabaseIds ids_;
  FileAccess access_;
  Steady::time_point settled_at_;
  std::optional<std::int64_t> backed_up_;   // rules version of the backup there is
  std::optional<std::int64_t> to_back_up_;  // rules version that has none yet
  Steady::time_point due_;
  // shared_ptr: what is posted to the loop may arrive after this object is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;
};

}  // namespace policyd
