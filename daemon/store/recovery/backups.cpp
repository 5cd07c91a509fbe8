// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/backups.hpp"

#include <fmt/core.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <memory>
#include <system_error>

#include "daemon/rules/rules.hpp"
#include "daemon/rules/rules_loader.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPause{5};
// Wait after a change, for further ones.
constexpr Millis kSettle{500};
// Wait after a failed backup.
constexpr std::chrono::minutes kAfterFailure{10};

// Room for twice the copy, so that a backup never fills the disk.
Result<void> check_room(const fs::path& database) {
  struct statvfs space {};
  std::error_code code;
  const std::uintmax_t size = fs::file_size(database, code);
  if (code || ::statvfs(database.parent_path().c_str(), &space) != 0) return {};
  if (std::uint64_t{space.f_bavail} * space.f_frsize >= 2 * size) return {};
  return failure(fmt::format("too little space in {}", database.parent_path().string()));
}

}  // namespace

Backups::Backups(EventLoop& loop, Maillog& log, const std::filesystem::path& file,
                 const std::string& table_prefix, std::chrono::seconds every)
    : loop_(loop),
      log_(log),
      file_(file),
      table_prefix_(table_prefix),
      every_(every),
      live_(file, table_prefix),
      thread_("backups", [this] { work(); }) {}

Backups::~Backups() {
  thread_.request_stop();  // first: a replacement about to start would reset hurry_
  hurry_ = true;
}

void Backups::opened(const DatabaseIds& ids) {
  thread_.change([this, &ids] { opened_ = ids; });
}

void Backups::on_rules_version(std::int64_t version) {
  const std::int64_t before = std::exchange(version_, version);
  if (before == version) return;
  thread_.change([this, before, version] {
    if (!changed_) settled_at_ = Steady::now() + (before < 0 ? Millis{0} : kSettle);
    changed_ = version;
  });
}

void Backups::replace(FileFinding::Kind lost, Replaced replaced) {
  request(lost, [this, replaced = std::move(replaced)](const Result<Replacement>& result) {
    loop_.post(guard_.wrap([replaced, result] { replaced(result); }));
  });
}

std::future<Result<Replacement>> Backups::replace_at_end(FileFinding::Kind lost) {
  // shared_ptr: the thread may hold it longer than the caller waits.
  const auto promise = std::make_shared<std::promise<Result<Replacement>>>();
  request(lost, [promise](const Result<Replacement>& result) { promise->set_value(result); });
  return promise->get_future();
}

void Backups::request(FileFinding::Kind lost, Replaced done) {
  thread_.change([this, lost, &done] {
    lost_.emplace(lost, std::move(done));
    hurry_ = true;
  });
}

std::optional<Backups::Steady::time_point> Backups::next() const {
  std::optional<Steady::time_point> when;
  if (changed_) when = settled_at_;
  if (to_back_up_ && (!when || due_ < *when)) when = due_;
  return when;
}

void Backups::work() {
  auto lock = thread_.lock();
  const auto wait = [&] {
    const bool knew = changed_.has_value();
    const auto woken = [&] { return opened_ || lost_ || changed_.has_value() != knew; };
    const auto when = next();
    return when ? thread_.wait_until(lock, *when, woken) : thread_.wait(lock, woken);
  };
  while (wait()) {
    const auto opened = std::exchange(opened_, std::nullopt);
    auto lost = std::exchange(lost_, std::nullopt);
    if (lost) hurry_ = false;
    const bool settled = changed_ && Steady::now() >= settled_at_;
    const auto changed = settled ? std::exchange(changed_, std::nullopt) : std::nullopt;
    lock.unlock();
    if (opened) {
      ids_ = *opened;
      hold_open();
    }
    if (lost) {
      lost->second(
          replace_database(file_, table_prefix_, lost->first, ids_, access_, live_, hurry_));
    }
    if (changed) keep_rules(*changed);
    if (to_back_up_ && Steady::now() >= due_) back_up();
    lock.lock();
  }
}

void Backups::hold_open() {
  access_ = FileAccess::of(file_);
  const auto done = live_.attach();
  if (!done) log_.warning(fmt::format("automatic backups: {}", done.error().message));
  if (backed_up_ || every_.count() == 0) return;
  std::error_code code;
  if (!fs::exists(backup_of(file_), code)) return;
  const auto db = open_database(backup_of(file_), OpenMode::read_only, {});
  if (db) backed_up_ = read_rules_version(db->get(), table_prefix_);
}

void Backups::keep_rules(std::int64_t version) {
  if (const auto kept = live_.keep_rules(); !kept) {
    log_.warning(fmt::format("cannot keep a copy of the rules: {}", kept.error().message));
    return;
  }
  if (every_.count() == 0 || backed_up_ == version) return;
  to_back_up_ = version;
  due_ = std::max(due_, backup_due());
}

// An hour after the existing backup by the clock; now if there is none.
Backups::Steady::time_point Backups::backup_due() {
  struct stat status {};
  if (::stat(backup_of(file_).c_str(), &status) != 0) return Steady::now();
  const auto made = std::chrono::system_clock::from_time_t(status.st_mtime);
  const auto age = std::chrono::system_clock::now() - made;
  // If it is from the future, the clock was set.
  if (age >= every_ || age.count() < 0) return Steady::now();
  return Steady::now() + std::chrono::duration_cast<Steady::duration>(every_ - age);
}

void Backups::back_up() {
  const auto done = make_backup();
  if (done) {
    backed_up_ = std::exchange(to_back_up_, std::nullopt);
    due_ = Steady::now() + every_;
    log_.info(fmt::format("made the backup {}", backup_of(file_).string()));
    return;
  }
  due_ = Steady::now() + kAfterFailure;
  if (hurry_) return;
  log_.warning(fmt::format("automatic backup failed: {}", done.error().message));
}

// The previous one stays until this one is complete.
Result<void> Backups::make_backup() {
  if (!live_.attached()) return failure("the database is not open");
  if (auto room = check_room(file_); !room) return room;
  const fs::path fresh = backup_of(file_) += ".new";
  if (auto done = live_.copy(fresh, access_, kPause, hurry_); !done) return done;
  std::error_code code;
  fs::rename(fresh, backup_of(file_), code);
  if (!code) return {};
  remove_database(fresh);
  return failure(fmt::format("cannot rename {}: {}", fresh.string(), code.message()));
}

}  // namespace policyd
