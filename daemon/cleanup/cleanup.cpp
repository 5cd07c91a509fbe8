// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/cleanup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/cleanup/cleanup_rules.hpp"
#include "daemon/sqlite/database.hpp"

namespace policyd {
namespace {

using Steady = std::chrono::steady_clock;

// SQLite's own timeout; `patience` consists of several of them, so that `stop` is noticed.
constexpr Millis kBusyTimeout{200};
// As in sqlite/checkpoint: bounds the log even if no daemon is running to empty it.
constexpr std::int64_t kCheckpointBytes = 8 * 1024 * 1024;
// Between two checks of `stop` while a query runs.
constexpr int kStepsBetweenChecks = 10'000;

class Cleanup {
 public:
  Cleanup(const CleanupSettings& settings, const std::atomic<bool>& stop)
      : settings_(settings), stop_(stop) {}

  Result<void> run(TimePoint now, const Report& report) {
    auto opened = open();
    if (opened) opened = note_begin(now);
    if (stop_) return {};
    if (!opened) return opened;
    auto rules = cleanup_rules(db_.get(), settings_.table_prefix, settings_.sessions, now);
    for (CleanupRule& rule : rules) count(rule);
    if (stop_) return {};
    report(fmt::format("clean-up of {} is about to remove:", settings_.database.string()));
    report_rows(rules, report);
    const auto began = Steady::now();
    remove_all(rules);
    const std::chrono::duration<double> took = Steady::now() - began;
    auto done = problems_of(rules);
    report(fmt::format("{} in {:.1f} s:", stop_ || !done ? "interrupted; removed" : "removed",
                       took.count()));
    report_rows(rules, report);
    return done;
  }

 private:
  Result<void> open() {
    auto db = open_database(settings_.database, OpenMode::read_write, kBusyTimeout);
    if (!db) return tl::unexpected{db.error()};
    db_ = std::move(*db);
    sqlite3_progress_handler(
        db_.get(), kStepsBetweenChecks,
        [](void* self) { return static_cast<const Cleanup*>(self)->stop_ ? 1 : 0; }, this);
    page_bytes_ = sql::first_integer(db_.get(), "PRAGMA page_size").value_or(page_bytes_);
    sqlite3_wal_hook(
        db_.get(),
        [](void* self, sqlite3*, const char*, int pages) {
          static_cast<Cleanup*>(self)->log_pages_ = pages;
          return SQLITE_OK;
        },
        this);
    return {};
  }

  Result<void> note_begin(TimePoint now) {
    sql::Transaction transaction{db_.get()};
    auto done = begin(transaction);
    if (done) {
      done = sql::execute_or_explain(
          db_.get(),
          sql::with_prefix(
              fmt::format("CREATE TABLE IF NOT EXISTS {{p}}limits_cleanup "
                          "(ID INTEGER PRIMARY KEY CHECK (ID = 1), LastRun INTEGER NOT NULL);"
                          "INSERT OR REPLACE INTO {{p}}limits_cleanup VALUES (1, {})",
                          now.time_since_epoch() / std::chrono::seconds{1}),
              settings_.table_prefix));
    }
    if (done) done = transaction.commit();
    return done;
  }

  Result<void> begin(sql::Transaction& transaction) {
    const auto until = Steady::now() + settings_.patience;
    while (true) {
      auto begun = transaction.begin_immediate();
      const bool busy = (sqlite3_errcode(db_.get()) & 0xFF) == SQLITE_BUSY;
      if (begun || !busy || stop_ || Steady::now() >= until) return begun;
    }
  }

  void count(CleanupRule& rule) {
    if (!rule.removes) return;
    auto query = sql::Statement::prepare(
        db_.get(), fmt::format("SELECT count(*) FROM {} WHERE {}", rule.table, rule.condition));
    if (query) {
      query->bind(1, rule.before_s).bind(2, rule.now_s);
      if (query->step() == SQLITE_ROW) rule.rows = query->integer(0);
    }
    if (!stop_ && sqlite3_errcode(db_.get()) != SQLITE_ROW) {
      rule.problem = sql::message_of(db_.get());
    }
  }

  // A table that cannot be cleaned does not keep the others from it.
  void remove_all(std::vector<CleanupRule>& rules) {
    for (CleanupRule& rule : rules) {
      const bool removes = std::exchange(rule.rows, 0) > 0;
      if (!removes || stop_) continue;
      if (const auto done = remove(rule); !done) rule.problem = done.error().message;
    }
    checkpoint();
  }

  static Result<void> problems_of(const std::vector<CleanupRule>& rules) {
    std::string problems;
    for (const CleanupRule& rule : rules) {
      if (rule.problem.empty()) continue;
      problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", rule.table, rule.problem);
    }
    if (problems.empty()) return {};
    return failure(std::move(problems));
  }

  Result<void> remove(CleanupRule& rule) {
    auto select = sql::Statement::prepare(
        db_.get(), fmt::format("SELECT rowid FROM {} WHERE {} AND {} LIMIT ?4", rule.table,
                               rule.condition, rule.order));
    auto erase = sql::Statement::prepare(
        db_.get(),
        fmt::format("DELETE FROM {} WHERE rowid = ?3 AND {}", rule.table, rule.condition));
    if (!select || !erase) return tl::unexpected{(!select ? select : erase).error()};
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    while (!stop_) {
      const auto rowids = find_old(*select, rule, last);
      if (!rowids && !stop_) return failed();
      if (!rowids || rowids->empty()) return {};
      const std::int64_t before = rule.rows;
      for (std::size_t done = 0; done < rowids->size() && !stop_;) {
        auto erased = remove_slice(*erase, rule, *rowids, done);
        if (!erased) return erased;
        if (log_pages_ * page_bytes_ >= kCheckpointBytes) checkpoint();
        std::this_thread::sleep_for(settings_.pause);
      }
      last = rowids->back();
      if (rule.rows == before && rule.by_age) return {};  // another process keeps them
    }
    return {};
  }

  std::optional<std::vector<std::int64_t>> find_old(sql::Statement& select, const CleanupRule& rule,
                                                    std::int64_t last) {
    const sql::Resetting resetting{select};
    select.bind(1, rule.before_s).bind(2, rule.now_s).bind(3, last);
    select.bind(4, static_cast<std::int64_t>(settings_.slice_rows));
    std::vector<std::int64_t> rowids;
    int code = SQLITE_ROW;
    while ((code = select.step()) == SQLITE_ROW) rowids.push_back(select.integer(0));
    if (code != SQLITE_DONE) return std::nullopt;
    return rowids;
  }

  // Removes rows from index `done` on, as many as slice_time permits. Each row's age is checked
  // again, since a mail may have arrived after the search.
  Result<void> remove_slice(sql::Statement& erase, CleanupRule& rule,
                            const std::vector<std::int64_t>& rowids, std::size_t& done) {
    sql::Transaction transaction{db_.get()};
    auto result = begin(transaction);
    const auto until = Steady::now() + settings_.slice_time;
    std::int64_t removed = 0;
    while (result && done < rowids.size()) {
      erase.bind(1, rule.before_s).bind(2, rule.now_s).bind(3, rowids[done++]);
      if (erase.run() != SQLITE_DONE) {
        result = failed();
      } else {
        removed += sqlite3_changes(db_.get());
      }
      if (Steady::now() >= until) break;
    }
    if (result) result = transaction.commit();
    if (result) rule.rows += removed;
    return stop_ ? Result<void>{} : result;
  }

  void checkpoint() {
    log_pages_ = 0;
    sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }

  [[nodiscard]] Result<void> failed() const { return failure(sql::message_of(db_.get())); }

  static void report_rows(const std::vector<CleanupRule>& rules, const Report& report) {
    std::size_t table_width = 0;
    std::size_t number_width = 0;
    for (const CleanupRule& rule : rules) {
      table_width = std::max(table_width, rule.table.size());
      number_width = std::max(number_width, std::to_string(rule.rows).size());
    }
    for (const CleanupRule& rule : rules) {
      report(fmt::format("  {:<{}}  {:>{}} {}  {}", rule.table, table_width, rule.rows,
                         number_width, rule.rows == 1 ? "row, " : "rows,",
                         rule.problem.empty() ? rule.reason : "since: " + rule.problem));
    }
  }

  const CleanupSettings& settings_;
  const std::atomic<bool>& stop_;
  sql::Handle db_;
  std::int64_t page_bytes_ = 4096;
  std::int64_t log_pages_ = 0;
};

}  // namespace

Result<void> clean_up(const CleanupSettings& settings, TimePoint now, const Report& report,
                      const std::atomic<bool>& stop) {
  return Cleanup{settings, stop}.run(now, report);
}

Result<std::optional<TimePoint>> last_cleanup(const CleanupSettings& settings) {
  auto db = open_database(settings.database, OpenMode::read_only, kBusyTimeout);
  if (!db) return tl::unexpected{db.error()};
  // Without the table there was no clean-up yet.
  const auto last_s =
      sql::first_integer(db->get(), "SELECT LastRun FROM {p}limits_cleanup", settings.table_prefix);
  if (!last_s) return std::nullopt;
  return TimePoint{std::chrono::seconds{*last_s}};
}

}  // namespace policyd
