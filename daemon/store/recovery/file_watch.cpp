// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/file_watch.hpp"

#include <fmt/core.h>

#include <system_error>
#include <utility>

#include "daemon/sqlite/database.hpp"
#include "daemon/store/recovery/integrity_check.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;
using Kind = FileFinding::Kind;

fs::path log_of(const fs::path& database) { return real_path(database) += "-wal"; }

// 0 if there is no such file.
std::uintmax_t size_of(const fs::path& file) {
  std::error_code code;
  const std::uintmax_t size = fs::file_size(file, code);
  return code ? 0 : size;
}

}  // namespace

FileWatch::FileWatch(EventLoop& loop, FileWatchSettings settings, Found found)
    : loop_(loop),
      settings_(std::move(settings)),
      found_(std::move(found)),
      thread_("file_watch", [this] { work(); }) {}

void FileWatch::opened(const DatabaseIds& ids) {
  const auto lock = thread_.lock();
  watched_ = Watched{ids, ++number_};
}

void FileWatch::closed() {
  ++number_;
  const auto lock = thread_.lock();
  watched_.reset();
}

void FileWatch::check_now() {
  thread_.change([this] { thorough_ = true; });
}

void FileWatch::work() {
  auto lock = thread_.lock();
  while (thread_.wait_for(lock, settings_.compare_every, [this] { return thorough_; })) {
    if (!watched_) {
      thorough_ = false;
      continue;
    }
    const Watched watched = *watched_;
    lock.unlock();
    inspect(watched);
    lock.lock();
  }
}

void FileWatch::inspect(const Watched& watched) {
  if (std::exchange(seen_number_, watched.number) != watched.number) {
    next_check_ = Steady::now() + settings_.check_every;
    seen_size_ = 0;
    seen_log_size_ = 0;
    was_wrong_ = false;
  }
  bool thorough = was_wrong_;
  {
    const auto lock = thread_.lock();
    thorough |= std::exchange(thorough_, false);
  }
  if (auto finding = compare(watched.ids)) {
    was_wrong_ = true;
    return post(watched, std::move(*finding));
  }
  // Others may shorten the log after a checkpoint, which is no damage.
  const std::uintmax_t size = size_of(settings_.file);
  const std::uintmax_t log_size = size_of(log_of(settings_.file));
  thorough |= size < std::exchange(seen_size_, size);
  thorough |= log_size < std::exchange(seen_log_size_, log_size);
  if (!thorough && Steady::now() < next_check_) return;
  next_check_ = Steady::now() + settings_.check_every;
  FileFinding finding = check(watched.ids, thorough);
  was_wrong_ = finding.kind == Kind::damaged;
  post(watched, std::move(finding));
}

std::optional<FileFinding> FileWatch::look(const DatabaseIds& ids, std::uintmax_t log_bytes) const {
  if (auto finding = compare(ids)) return finding;
  if (size_of(log_of(settings_.file)) >= log_bytes) return std::nullopt;
  FileFinding finding = check(ids, true);
  if (finding.kind == Kind::sound) return std::nullopt;
  return finding;
}

void FileWatch::post(const Watched& watched, FileFinding finding) {
  loop_.post(guard_.wrap([this, number = watched.number, finding = std::move(finding)] {
    if (number == number_) found_(finding);
  }));
}

std::optional<FileFinding> FileWatch::compare(const DatabaseIds& ids) const {
  const DatabaseIds now = DatabaseIds::of(settings_.file);
  const std::string name = settings_.file.string();
  if (!now.file) return FileFinding{Kind::gone, fmt::format("{} is gone", name)};
  if (now.file != ids.file) {
    return FileFinding{Kind::other, fmt::format("{} was replaced by another file", name)};
  }
  if ((ids.log && now.log != ids.log) || (ids.index && now.index != ids.index)) {
    return FileFinding{Kind::gone, fmt::format("the log {}-wal was deleted or replaced", name)};
  }
  return std::nullopt;
}

FileFinding FileWatch::check(const DatabaseIds& ids, bool thorough) const {
  // SQLite would delete the log of an empty file, and with it the data that is left.
  std::error_code code;
  if (fs::file_size(settings_.file, code) == 0 && !code) {
    return {Kind::damaged, fmt::format("{} is empty", settings_.file.string())};
  }
  auto db = connect_database(settings_.file);
  // A file that has just been put there must not be read together with the log of the previous one.
  if (auto moved = compare(ids)) return std::move(*moved);
  if (!db) return {Kind::unfit, db.error().message};
  const Soundness found =
      check_soundness(db->get(), settings_.table_prefix, thorough ? Care::thorough : Care::quick);
  switch (found.state) {
    case Soundness::State::damaged:
      return {Kind::damaged, fmt::format("{} is damaged: {}", settings_.file.string(), found.what)};
    case Soundness::State::unreadable:
      return {Kind::unfit,
              fmt::format("{} cannot be read: {}", settings_.file.string(), found.what)};
    case Soundness::State::sound:
      break;
  }
  if (sqlite3_db_readonly(db->get(), "main") == 1) {
    return {Kind::unfit, fmt::format("{} is no longer writable", settings_.file.string())};
  }
  return {};
}

}  // namespace policyd
