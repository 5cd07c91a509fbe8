// SPDX-License-Identifier: AGPL-3.0-only
// Sees what SQLite does not tell: that the file was deleted, moved over, truncated, overwritten or
// made read-only, after which commits go on to succeed. Every second it compares what the names
// stand for with what is open; every ten seconds it reads through a connection made for that. On a
// thread of its own; what it found is posted to the loop.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "daemon/base/clock.hpp"
#include "daemon/loop/event_loop.hpp"
#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {

struct FileFinding {
  enum class Kind : std::uint8_t {
    sound,    // a fresh connection has read it
    unfit,    // it cannot be opened, or not be written any more; what is open still works
    gone,     // there is no such file, or its log is not the one that is open
    other,    // another file has its name
    damaged,  // what is in it is no sound database
  };
  Kind kind = Kind::sound;
  std::string what;  // in a sentence
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

  // `found` is called on the loop: for each sound check, and each second while anything is wrong.
  FileWatch(EventLoop& loop, FileWatchSettings settings, Found found);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // The loop's thread: the database of these names is open now; or none is.
  void opened(const DatabaseIds& ids);
  void closed();
  // Reads all of it, at once: something looked wrong.
  void check_now();

 private:
  struct Watched {
    DatabaseIds ids;
    std::uint64_t number = 0;  // of the opening, so that findings about a former one are dropped
  };

  void work();
  void look(const Watched& watched);
  void post(const Watched& watched, FileFinding finding);
  [[nodiscard]] std::optional<FileFinding> compare(const DatabaseIds& ids) const;
  [[nodiscard]] FileFinding check(const DatabaseIds& ids, bool thorough) const;

  EventLoop& loop_;
  FileWatchSettings settings_;
  Found found_;
  std::uint64_t number_ = 0;  // the loop's thread

  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Watched> watched_;
  bool thorough_ = false;
  bool stop_ = false;
  // The thread's.
  std::chrono::steady_clock::time_point next_check_;
  std::uint64_t seen_number_ = 0;
  std::uintmax_t seen_size_ = 0;
  bool was_wrong_ = false;
  // shared_ptr: what is posted to the loop may arrive after this object is gone.
  std::shared_ptr<FileWatch*> self_ = std::make_shared<FileWatch*>(this);
  std::thread thread_;
};

}  // namespace policyd
