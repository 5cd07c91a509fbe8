// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/stored_counters.hpp"

#include <fmt/core.h>

#include <utility>

#include "daemon/sqlite/database.hpp"
#include "daemon/store/sqlite/counter_records.hpp"

namespace policyd {
namespace {

constexpr std::chrono::seconds kLockPatience{1};

// Those that have units of the last period; as QuotaRecord::read takes them, and then ours.
constexpr std::string_view kSelect =
    "SELECT t.rowid, t.Counter, t.LastUpdate, t.State, t.QuotasLimitsID, t.TrackKey, q.Period "
    "FROM {p}quotas_tracking t JOIN {p}quotas_limits l ON l.ID = t.QuotasLimitsID "
    "JOIN {p}quotas q ON q.ID = l.QuotasID "
    "WHERE t.rowid > ?1 AND t.LastUpdate > ?2 - q.Period ORDER BY t.rowid LIMIT ?3";

}  // namespace

StoredCounters::StoredCounters(EventLoop& loop, Maillog& log, std::filesystem::path database,
                               std::string table_prefix, std::function<TimePoint()> now)
    : loop_(loop),
      log_(log),
      database_(std::move(database)),
      table_prefix_(std::move(table_prefix)),
      now_(std::move(now)),
      thread_("own counters", [this] { work(); }) {}

void StoredCounters::begin() {
  ++round_;
  thread_.change([this] {
    wishes_.clear();
    from_the_start_ = true;
  });
}

void StoredCounters::next(std::size_t most, Slice done) {
  auto deliver = [this, round = round_, done = std::move(done)](std::vector<Counter> slice) {
    if (round == round_) done(std::move(slice));
  };
  thread_.change([&] { wishes_.push_back({most, std::move(deliver)}); });
}

void StoredCounters::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return !wishes_.empty(); })) {
    Wish wish = std::move(wishes_.front());
    wishes_.erase(wishes_.begin());
    if (std::exchange(from_the_start_, false)) last_rowid_ = 0;
    lock.unlock();
    loop_.post(guard_.wrap([done = std::move(wish.done), slice = read(wish.most)]() mutable {
      done(std::move(slice));
    }));
    lock.lock();
  }
}

// None on an error, which ends the round: what changes from then on is told all the same.
std::vector<OwnCounters::Counter> StoredCounters::read(std::size_t most) {
  std::vector<Counter> slice;
  const auto failed = [&](const std::string& why) {
    log_.error(fmt::format("cannot read the counters for the other MTAs: {}", why));
    return std::vector<Counter>{};
  };
  const auto db = open_database(database_, OpenMode::read_only, kLockPatience);
  if (!db) return failed(db.error().message);
  auto rows = sql::Statement::prepare(db->get(), kSelect, table_prefix_);
  if (!rows) return failed(rows.error().message);
  const TimePoint now = now_();
  rows->bind(1, last_rowid_).bind(2, to_seconds(now)).bind(3, static_cast<std::int64_t>(most));
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    last_rowid_ = rows->integer(0);
    policyd::Counter counter;
    QuotaRecord::read(counter, *rows, now);
    slice.push_back({rows->integer(4), std::string{rows->text(5)}, std::move(counter.window),
                     std::chrono::seconds{rows->integer(6)}});
  }
  if (code != SQLITE_DONE) return failed(sql::message_of(db->get()));
  return slice;
}

}  // namespace policyd
