// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/fold_counters.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "daemon/counting/decay.hpp"
#include "daemon/rules/track.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/store/sqlite/counter_records.hpp"

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Millis kFoldBusyTimeout{200};

// A row of quotas_tracking with the period of its limit.
constexpr std::string_view kQuotaById =
    "SELECT t.rowid, t.Counter, t.LastUpdate, t.State, t.TrackKey, t.QuotasLimitsID, "
    "CAST(q.Period AS INTEGER) FROM {p}quotas_tracking t "
    "JOIN {p}quotas_limits l ON l.ID = t.QuotasLimitsID JOIN {p}quotas q ON q.ID = l.QuotasID "
    "WHERE t.rowid = ?1";
constexpr std::string_view kAccountingById =
    "SELECT rowid, LastUpdate, MessageCount, MessageCumulativeSize, TrackKey, AccountingID, "
    "PeriodKey FROM {p}accounting_tracking WHERE rowid = ?1";

// The statements for one table.
struct Statements {
  sql::Statement by_id, by_key, update, rename, erase;

  Result<void> prepare(sqlite3* db, std::string_view table, std::string_view by_id_text,
                       std::string_view by_key_text, std::string_view update_text,
                       const std::string& prefix) {
    const std::string where = " WHERE rowid = ?1";
    const std::string name = "{p}" + std::string{table};
    auto done = by_id.assign(db, by_id_text, prefix);
    if (done) done = by_key.assign(db, by_key_text, prefix);
    if (done) done = update.assign(db, update_text, prefix);
    if (done) done = rename.assign(db, "UPDATE " + name + " SET TrackKey = ?2" + where, prefix);
    if (done) done = erase.assign(db, "DELETE FROM " + name + where, prefix);
    return done;
  }
};

// Both as of `now`.
Counter sum_of_counters(Counter a, Counter b, Millis period, TimePoint now) {
  const double now_s = to_seconds(now);
  Counter out;
  out.last_update_s = now_s;
  out.windowed = a.windowed || b.windowed;
  if (out.windowed) {
    a.window.advance(now, period);
    b.window.advance(now, period);
    out.window = a.window;
    out.window.merge(b.window);
    out.value = static_cast<double>(out.window.use());
  } else {
    for (const Counter& each : {a, b}) {
      out.value += decayed(each.value, each.last_update_s, now_s, to_seconds(TimePoint{period}));
    }
  }
  return out;
}

class Fold {
 public:
  Fold(const CleanupSettings& settings, TimePoint now, const std::atomic<bool>& stop)
      : settings_(settings), now_(now), stop_(stop) {}

  Result<std::size_t> run() {
    if (const auto found = any(); !found || !*found) return found.map([](bool) { return 0UL; });
    if (auto opened = open(OpenMode::read_write); !opened) return tl::unexpected{opened.error()};
    auto done = table("quotas_tracking", kQuotaById, QuotaRecord::kSelect, QuotaRecord::kUpdate,
                      [this](Statements& rows) { return fold_quota(rows); });
    if (done) {
      done = table("accounting_tracking", kAccountingById, AccountingRecord::kSelect,
                   AccountingRecord::kUpdate,
                   [this](Statements& rows) { return fold_accounting(rows); });
    }
    if (!done) return tl::unexpected{done.error()};
    return folded_;
  }

 private:
  template <typename FoldRow>
  Result<void> table(std::string_view name, std::string_view by_id, std::string_view by_key,
                     std::string_view update, FoldRow fold_row) {
    const auto found = other_spellings(name, kMaxFolded - folded_);
    if (!found) return tl::unexpected{found.error()};
    if (found->empty()) return {};
    Statements rows;
    auto done = rows.prepare(db_.get(), name, by_id, by_key, update, settings_.table_prefix);
    for (std::size_t next = 0; done && next < found->size() && !stop_;) {
      sql::Transaction transaction{db_.get()};
      done = begin(transaction);
      const auto until = Steady::now() + settings_.slice_time;
      std::size_t folded = 0;
      while (done && next < found->size()) {
        rows.by_id.bind(1, (*found)[next++]);
        const bool is_there = rows.by_id.step() == SQLITE_ROW && is_other_spelling(rows.by_id);
        if (is_there && !fold_row(rows)) done = failed();
        if (is_there) ++folded;
        rows.by_id.reset();
        if (Steady::now() >= until) break;
      }
      if (done) done = transaction.commit();
      if (done) folded_ += folded;
      std::this_thread::sleep_for(settings_.pause);
    }
    return done;
  }

  // Most databases have none, and are only read.
  Result<bool> any() {
    if (auto opened = open(OpenMode::read_only); !opened) return tl::unexpected{opened.error()};
    for (const char* table : {"quotas_tracking", "accounting_tracking"}) {
      const auto found = other_spellings(table, 1);
      if (!found) return tl::unexpected{found.error()};
      if (!found->empty()) return true;
    }
    return false;
  }

  Result<void> open(OpenMode mode) {
    auto db = open_database(settings_.database, mode, kFoldBusyTimeout);
    if (!db) return tl::unexpected{db.error()};
    db_ = std::move(*db);
    return {};
  }

  // The rowids, read without a lock.
  Result<std::vector<std::int64_t>> other_spellings(std::string_view table, std::size_t max) {
    auto rows = sql::Statement::prepare(
        db_.get(), "SELECT rowid, NULL, NULL, NULL, TrackKey FROM {p}" + std::string{table},
        settings_.table_prefix);
    if (!rows) return tl::unexpected{rows.error()};
    std::vector<std::int64_t> found;
    int code = SQLITE_ROW;
    while (!stop_ && found.size() < max && (code = rows->step()) == SQLITE_ROW) {
      if (is_other_spelling(*rows)) found.push_back(rows->integer(0));
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) return failed();
    return found;
  }

  static bool is_other_spelling(const sql::Statement& row) {
    return row.type(kKeyColumn) == SQLITE_TEXT && !is_track_key_form(row.text(kKeyColumn));
  }

  // False on an error of the database.
  bool fold_quota(Statements& rows) {
    constexpr std::int64_t kMaxPeriod = std::int64_t{1} << 40;
    const std::int64_t rowid = rows.by_id.integer(0);
    const std::string key = track_key_form(rows.by_id.text(kKeyColumn));
    const sql::Resetting resetting{rows.by_key};
    rows.by_key.bind(1, rows.by_id.integer(5)).bind(2, std::string_view{key});
    const int code = rows.by_key.step();
    if (code == SQLITE_DONE) return rename(rows, rowid, key);
    if (code != SQLITE_ROW) return false;
    Counter other, ours;
    QuotaRecord::read(other, rows.by_id, now_);
    QuotaRecord::read(ours, rows.by_key, now_);
    const auto period_s = std::clamp<std::int64_t>(rows.by_id.integer(6), 0, kMaxPeriod);
    const Counter sum =
        sum_of_counters(std::move(other), std::move(ours), std::chrono::seconds{period_s}, now_);
    std::string blob;
    rows.update.bind(1, rows.by_key.integer(0));
    QuotaRecord::bind(rows.update, sum, blob);
    return replace(rows, rowid);
  }

  bool fold_accounting(Statements& rows) {
    const std::int64_t rowid = rows.by_id.integer(0);
    const std::string key = track_key_form(rows.by_id.text(kKeyColumn));
    const std::string period{rows.by_id.text(6)};
    const sql::Resetting resetting{rows.by_key};
    rows.by_key.bind(1, rows.by_id.integer(5)).bind(2, std::string_view{key});
    rows.by_key.bind(3, std::string_view{period});
    const int code = rows.by_key.step();
    if (code == SQLITE_DONE) return rename(rows, rowid, key);
    if (code != SQLITE_ROW) return false;
    AccountingCounter other, sum;
    AccountingRecord::read(other, rows.by_id, now_);
    AccountingRecord::read(sum, rows.by_key, now_);
    sum.used += other.used;
    sum.last_update_s = std::max(sum.last_update_s, other.last_update_s);
    std::string blob;
    rows.update.bind(1, rows.by_key.integer(0));
    AccountingRecord::bind(rows.update, sum, blob);
    return replace(rows, rowid);
  }

  static bool rename(Statements& rows, std::int64_t rowid, const std::string& key) {
    return rows.rename.bind(1, rowid).bind(2, std::string_view{key}).run() == SQLITE_DONE;
  }

  static bool replace(Statements& rows, std::int64_t rowid) {
    return rows.update.run() == SQLITE_DONE && rows.erase.bind(1, rowid).run() == SQLITE_DONE;
  }

  Result<void> begin(sql::Transaction& transaction) {
    const auto until = Steady::now() + settings_.patience;
    while (true) {
      auto begun = transaction.begin_immediate();
      const bool busy = (sqlite3_errcode(db_.get()) & 0xFF) == SQLITE_BUSY;
      if (begun || !busy || stop_ || Steady::now() >= until) return begun;
    }
  }

  [[nodiscard]] tl::unexpected<Error> failed() const { return failure(sql::message_of(db_.get())); }

  static constexpr int kKeyColumn = 4;

  const CleanupSettings& settings_;
  TimePoint now_;
  const std::atomic<bool>& stop_;
  sql::Handle db_;
  std::size_t folded_ = 0;
};

}  // namespace

Result<std::size_t> fold_counters(const CleanupSettings& settings, TimePoint now,
                                  const std::atomic<bool>& stop) {
  return Fold{settings, now, stop}.run();
}

}  // namespace policyd
