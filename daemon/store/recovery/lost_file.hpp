// SPDX-License-Identifier: AGPL-3.0-only
// The database file under its name: watched while it is open, backed up after its rules changed,
// and replaced when it is lost (deleted, overwritten, damaged). From the loss until the replacement
// is open nothing may be written to what is open. Part of the SQLite store; the loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/backups.hpp"
#include "daemon/store/recovery/file_watch.hpp"
#include "daemon/store/recovery/trouble.hpp"

namespace policyd {

class LostFile {
 public:
  struct Handlers {
    // A fresh connection has read the file after trouble with it.
    std::function<void()> sound;
    // Another file has taken its name: close the old one and open it. `adopted`: its rules and
    // counters apply; otherwise those in memory are newer.
    std::function<void(bool adopted)> reopen;
  };

  // Reports in `trouble` what is wrong with the file.
  LostFile(EventLoop& loop, Maillog& log, Trouble& trouble, const FileWatchSettings& watch,
           std::chrono::seconds backup_every, Handlers handlers);

  // The file is now open; or no file is.
  void opened();
  void closed();
  void on_rules_version(std::int64_t version) { backups_.on_rules_version(version); }
  [[nodiscard]] std::string open_files() const { return ids_.to_string(); }
  [[nodiscard]] std::string open_log() const { return ids_.log ? ids_.log->to_string() : ""; }
  // An error suggests that it is damaged.
  void check_now() { watch_.check_now(); }
  // It was found missing when it was to be opened.
  void replace_missing() { replace(FileFinding::Kind::gone); }

  // Once the loop no longer runs: notices at once if it is lost, or its log is shorter than the
  // `log_bytes` that were committed to it, which another commit would hide.
  void look(std::uintmax_t log_bytes);
  // At the end: looks, and replaces it within `patience` if it is lost. Afterwards is_lost() tells
  // whether it still is.
  void replace_at_end(std::uintmax_t log_bytes, Millis patience);

  // What is open no longer has a name, or is damaged.
  [[nodiscard]] bool is_lost() const { return lost_; }
  [[nodiscard]] bool is_being_replaced() const { return replacing_; }

 private:
  void found(const FileFinding& finding);
  void replace(FileFinding::Kind lost);
  void replaced(const Result<Replacement>& result);
  void remember(const FileFinding& finding);

  Maillog& log_;
  Trouble& trouble_;
  std::filesystem::path file_;
  Millis retry_every_;
  Handlers handlers_;
  bool open_ = false;
  bool lost_ = false;
  FileFinding::Kind lost_as_ = FileFinding::Kind::gone;
  bool replacing_ = false;
  DatabaseIds ids_;
  std::chrono::steady_clock::time_point tried_;
  Backups backups_;
  FileWatch watch_;
};

}  // namespace policyd
