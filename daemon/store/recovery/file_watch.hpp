// SPDX-License-Identifier: AGPL-3.0-only
// Notices what SQLite does not report: that the file was deleted, replaced, truncated, overwritten
// or made read-only, after which commits still succeed. Every second it compares the files that the
// names refer to with those that are open; every ten seconds it reads through a fresh connection.
// On a thread of its own; findings are posted to the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/base/worker_thread.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {

struct FileFinding {
  enum class Kind : std::uint8_t {
    sound,    // a fresh connection has read it
    unfit,    // it can no longer be opened or written; the open connection still works
    gone,     // there is no such file, or its log is not the one that is open
    other,    // another file has its name
    damaged,  // it does not contain a sound database
  };
  Kind kind = Kind::sound;
  std::string what;  // a sentence
};

struct FileWatchSettings {
  std::filesystem::path file;
  std::string table_prefix;
  Millis compare_every{1'000};
  Millis check_every{10'000};
};

class FileWatch {
 public:
  using Found = std::function<void(const FileFinding&)>;

  // `found` is called on the loop: after each sound check, and each second while anything is wrong.
  FileWatch(EventLoop& loop, FileWatchSettings settings, Found found);

  // The loop's thread: the database with these files is now open; or none is.
  void opened(const DatabaseIds& ids);
  void closed();
  // Reads the whole file immediately, after an error that suggests damage.
  void check_now();
  // At the end, on the loop's thread: what is wrong at this moment, if anything is. Reads the file
  // only if its log is shorter than the `log_bytes` that were committed to it.
  [[nodiscard]] std::optional<FileFinding> look(const DatabaseIds& ids,
                                                std::uintmax_t log_bytes) const;

 private:
  struct Watched {
    DatabaseIds ids;
    std::uint64_t number = 0;  // of the opening, so that findings about an earlier one are dropped
  };

  void work();
  void inspect(const Watched& watched);
  void post(const Watched& watched, FileFinding finding);
  [[nodiscard]] std::optional<FileFinding> compare(const DatabaseIds& ids) const;
  [[nodiscard]] FileFinding check(const DatabaseIds& ids, bool thorough) const;

  EventLoop& loop_;
  FileWatchSettings settings_;
  Found found_;
  std::uint64_t number_ = 0;  // the loop's thread

  // Shared with the thread.
  std::optional<Watched> watched_;
  bool thorough_ = false;

  // The thread's.
  std::chrono::steady_clock::time_point next_check_;
  std::uint64_t seen_number_ = 0;
  std::uintmax_t seen_size_ = 0;
  std::uintmax_t seen_log_size_ = 0;
  bool was_wrong_ = false;

  EventLoop::Guard guard_;
  WorkerThread thread_;
};

}  // namespace policyd
