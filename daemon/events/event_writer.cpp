// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_writer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/events/rules_change.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/recovery/file_ids.hpp"

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Millis kBusyTimeout{200};
// As in cleanup: bounds the log even if the store commits nothing, as in a flood of refusals.
constexpr std::int64_t kCheckpointBytes = 8 * 1024 * 1024;
constexpr std::chrono::minutes kReportEvery{1};
// When the table is full, one in so many rows makes room for the next.
constexpr std::int64_t kRoom = 100;

bool is_due(const std::optional<Steady::time_point>& last, Millis every) {
  return !last || Steady::now() - *last >= every;
}

}  // namespace

class EventWriter::Connection {
 public:
  static Result<std::unique_ptr<Connection>> open(const EventWriterSettings& settings,
                                                  OwnCommits& own_commits,
                                                  const std::string& files) {
    const auto are_there = [&] {
      std::error_code code;
      return DatabaseIds::of(settings.database).to_string() == files &&
             std::filesystem::file_size(settings.database, code) > 0 && !code;
    };
    if (!are_there()) return failure("the database is not the file that was opened");
    auto db = open_database(settings.database, OpenMode::read_write, kBusyTimeout);
    if (!db) return tl::unexpected{db.error()};
    keep_log_on_close(db->get());
    if (!are_there()) return failure("the database is not the file that was opened");
    auto rows = EventRows::of(db->get(), settings.table_prefix);
    if (!rows) return tl::unexpected{rows.error()};
    return std::make_unique<Connection>(std::move(*db), std::move(*rows), own_commits, files);
  }
  Connection(sql::Handle db, EventRows rows, OwnCommits& own_commits, std::string files)
      : files_(std::move(files)),
        db_(std::move(db)),
        rows_(std::move(rows)),
        own_commits_(own_commits) {
    index_.attach(db_.get());
    page_bytes_ = sql::first_integer(db_.get(), "PRAGMA page_size").value_or(page_bytes_);
    sqlite3_wal_hook(
        db_.get(),
        [](void* self, sqlite3*, const char*, int pages) {
          static_cast<Connection*>(self)->log_pages_ = pages;
          return SQLITE_OK;
        },
        this);
  }

  [[nodiscard]] const std::string& files() const { return files_; }
  [[nodiscard]] sqlite3* db() const { return db_.get(); }
  EventRows& rows() { return rows_; }
  [[nodiscard]] tl::unexpected<Error> error() const { return failure(sql::message_of(db_.get())); }

  // Runs `change` in one transaction; the store is told that it concerns events only.
  template <typename Change>
  Result<void> in_transaction(Change change) {
    sql::Transaction transaction{db_.get()};
    auto done = transaction.begin_immediate();
    const auto before = index_.read();
    if (done) done = change();
    if (done) done = transaction.commit();
    const auto after = index_.read();
    if (done && before && after && WalIndex::is_next(*before, *after)) {
      own_commits_.add(*before, *after);
    }
    if (done && log_pages_ * page_bytes_ >= kCheckpointBytes) {
      log_pages_ = 0;
      sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    }
    return done;
  }

 private:
  std::string files_;
  sql::Handle db_;
  EventRows rows_;
  OwnCommits& own_commits_;
  WalIndex index_;
  std::int64_t page_bytes_ = 4096;
  std::int64_t log_pages_ = 0;
};

EventWriter::EventWriter(EventLoop& loop, Maillog& log, EventQueue& queue, OwnCommits& own_commits,
                         EventWriterSettings settings, OpenFiles open_files,
                         std::function<TimePoint()> clock)
    : loop_(loop),
      log_(log),
      queue_(queue),
      own_commits_(own_commits),
      settings_(std::move(settings)),
      open_files_(std::move(open_files)),
      clock_(std::move(clock)),
      thread_("events", [this] { work(); }) {
  tick();
}

EventWriter::~EventWriter() { thread_.stop(); }

void EventWriter::tick() {
  loop_.after(settings_.every, guard_.wrap([this] { tick(); }));
  look_at_store();
  if (!held_) hand_over();
}

void EventWriter::look_at_store() {
  std::string files = open_files_();
  held_ = files.empty();
  if (files == files_) return;  // only this thread changes it
  thread_.change([&] {
    files_ = std::move(files);
    files_changed_ = true;
  });
}

// Not while the thread still has some: until then they wait in the queue, which joins them.
void EventWriter::hand_over() {
  if (queue_.empty()) return;
  thread_.change([this] {
    if (waiting_ != 0) return;
    waiting_ = queue_.size();
    batch_ = queue_.take();
  });
}

void EventWriter::finish(Millis patience) {
  const auto until = Steady::now() + patience;
  look_at_store();
  finishing_ = true;
  std::uint64_t waiting = 0;
  do {
    hand_over();
    std::this_thread::sleep_for(Millis{5});
    const auto lock = thread_.lock();
    waiting = waiting_ + queue_.size();
  } while (waiting != 0 && !held_ && Steady::now() < until);
  if (waiting != 0) log_.error(fmt::format("{} events could not be stored and are lost", waiting));
}

void EventWriter::work() {
  auto lock = thread_.lock();
  while (thread_.wait_for(lock, left_.empty() ? settings_.prune_every : settings_.every,
                          [this] { return batch_ || files_changed_; })) {
    const auto batch = std::exchange(batch_, nullptr);
    const std::string files = files_;
    files_changed_ = false;
    lock.unlock();
    if (batch) take(*batch);
    write_all(files);
    lock.lock();
    waiting_ = batch_ ? waiting_ : left_.size();
  }
}

void EventWriter::lose(std::uint64_t events) {
  lost_ += events;
  lost_in_all_ += events;
}

void EventWriter::take(Batch& batch) {
  lose(batch.lost());
  while (batch.size() > 0) left_.push_back(batch.take_oldest());
}

void EventWriter::write_all(const std::string& files) {
  // It stays open meanwhile: SQLite would hand its descriptor to whoever opens the file next, to
  // whom a file that became read-only would then seem writable.
  if (files.empty()) return;
  const auto done = connect(files).and_then([this] { return write_some(); });
  if (done) return problem_.clear();
  // A short lock is nothing to report, and the store reports one that lasts.
  constexpr int kPrimaryCode = 0xFF;
  const bool locked =
      connection_ && (sqlite3_errcode(connection_->db()) & kPrimaryCode) == SQLITE_BUSY;
  if (locked || problem_ == done.error().message) return;
  problem_ = done.error().message;
  log_.warning(fmt::format("events cannot be stored and wait in memory: {}", problem_));
}

Result<void> EventWriter::connect(const std::string& files) {
  if (connection_ && connection_->files() == files) return {};
  connection_.reset();
  auto opened = Connection::open(settings_, own_commits_, files);
  if (!opened) return tl::unexpected{opened.error()};
  connection_ = std::move(*opened);
  return {};
}

Result<void> EventWriter::write_some() {
  Result<void> done;
  while (done && !left_.empty() && !held_ && !thread_.stopping()) {
    done = write_slice();
    if (!left_.empty() && !finishing_) std::this_thread::sleep_for(settings_.pause);
  }
  if (done && lost_ != 0 && is_due(reported_, kReportEvery)) done = report_lost();
  if (done && is_due(pruned_, settings_.prune_every) && !finishing_) done = prune();
  return done;
}

bool EventWriter::may_add(TimePoint now) {
  const std::int64_t minute =
      std::chrono::floor<std::chrono::minutes>(now).time_since_epoch().count();
  if (std::exchange(minute_, minute) != minute) added_ = 0;
  return added_ < settings_.max_rows_a_minute;
}

Result<void> EventWriter::write_slice() {
  std::size_t written = 0;
  std::uint64_t refused = 0;
  auto done = connection_->in_transaction([&]() -> Result<void> {
    const auto until = Steady::now() + settings_.slice_time;
    while (written < std::min(left_.size(), settings_.slice_rows)) {
      Event& event = left_[written];
      if (!is_announced(connection_->db(), settings_.table_prefix, event)) {
        switch (connection_->rows().put(event, may_add(event.first))) {
          case EventRows::Stored::failed:
            return connection_->error();
          case EventRows::Stored::refused:
            ++refused;
            break;
          case EventRows::Stored::added:
            ++added_;
            break;
          case EventRows::Stored::joined:
            break;
        }
      }
      ++written;
      if (Steady::now() >= until) break;
    }
    return {};
  });
  if (!done) return done;
  left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(written));
  lose(refused);
  return done;
}

Result<void> EventWriter::report_lost() {
  Event event;
  event.kind = EventKind::trouble;
  event.module = "Events";
  event.first = event.last = clock_();
  event.detail = fmt::format(
      "{} events of different senders came at once; they are counted here, but not listed", lost_);
  log_.warning(event.detail);
  auto done = connection_->in_transaction([&]() -> Result<void> {
    if (connection_->rows().put(event) == EventRows::Stored::failed) return connection_->error();
    return {};
  });
  if (!done) return done;
  reported_ = Steady::now();
  lost_ = 0;
  return {};
}

// Removes what is too old, and what is too much: first what greylisting deferred as always, and
// limits that were nearly used up; then the oldest.
Result<void> EventWriter::prune() {
  pruned_ = Steady::now();
  const std::int64_t oldest = (clock_() - kMaxEventAge).time_since_epoch().count();
  const std::int64_t rows =
      sql::first_integer(connection_->db(), "SELECT count(*) FROM {p}limits_events",
                         settings_.table_prefix)
          .value_or(0);
  const std::int64_t excess =
      rows > settings_.max_rows ? rows - settings_.max_rows + settings_.max_rows / kRoom : 0;
  auto select = sql::Statement::prepare(
      connection_->db(),
      excess > 0 ? "SELECT ID FROM {p}limits_events ORDER BY LastSeen < ?1 DESC, "
                   "Kind = 'near' OR (Module = 'Greylisting' AND Verdict = 'defer') DESC, LastSeen "
                   "LIMIT max(?2, (SELECT count(*) FROM {p}limits_events WHERE LastSeen < ?1))"
                 : "SELECT ID FROM {p}limits_events WHERE LastSeen < ?1 AND ?2 = 0",
      settings_.table_prefix);
  if (!select) return tl::unexpected{select.error()};
  select->bind(1, oldest).bind(2, excess);
  std::vector<std::int64_t> ids;
  while (select->step() == SQLITE_ROW) ids.push_back(select->integer(0));
  select->reset();
  auto erase = sql::Statement::prepare(
      connection_->db(), "DELETE FROM {p}limits_events WHERE ID = ?1", settings_.table_prefix);
  if (!erase) return tl::unexpected{erase.error()};
  Result<void> done;
  for (std::size_t at = 0; done && at < ids.size() && !held_ && !thread_.stopping();) {
    done = connection_->in_transaction([&]() -> Result<void> {
      const auto until = Steady::now() + settings_.slice_time;
      const std::size_t end = std::min(ids.size(), at + settings_.slice_rows);
      while (at < end && Steady::now() < until) {
        erase->bind(1, ids[at++]);
        if (erase->run() != SQLITE_DONE) return connection_->error();
      }
      return {};
    });
    std::this_thread::sleep_for(settings_.pause);
  }
  return done;
}

}  // namespace policyd
