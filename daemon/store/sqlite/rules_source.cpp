// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/rules_source.hpp"

#include <fmt/core.h>

#include <utility>

#include "daemon/rules/match/rows.hpp"
#include "daemon/sqlite/database.hpp"
#include "daemon/sqlite/missing_parts.hpp"
#include "daemon/sqlite/read_only.hpp"

namespace policyd {

namespace {
constexpr std::size_t kMaxLoggedProblems = 1000;
}

RulesSource::RulesSource(EventLoop& loop, Maillog& log, std::filesystem::path file,
                         std::string table_prefix)
    : loop_(loop),
      log_(log),
      file_(std::move(file)),
      table_prefix_(std::move(table_prefix)),
      thread_("rules", [this] { work(); }) {}

Result<void> RulesSource::load_first(sqlite3* db) {
  version_db_ = nullptr;
  version_ = {};
  auto rules = load_rules(db, table_prefix_, std::nullopt);
  if (!rules) return failure(rules.error().message);
  adopt(std::move(*rules));
  return {};
}

Result<void> RulesSource::load_first_unwritable() {
  auto rules = load(From::unwritable);
  if (!rules) return failure(rules.error().message);
  adopt(std::move(*rules));
  return {};
}

void RulesSource::reload_unwritable() { request(-1, From::unwritable); }

void RulesSource::detach(const sqlite3* db) {
  if (version_db_ != db) return;
  version_ = {};
  version_db_ = nullptr;
}

void RulesSource::refresh(sqlite3* db) {
  if (version_db_ != db) {
    const auto done =
        version_.assign(db, "SELECT Version FROM {p}limits_rules_version", table_prefix_);
    if (!done) {
      log_.error(fmt::format("cannot read the rules version: {}", done.error().message));
      return;
    }
    version_db_ = db;
  }
  const sql::Resetting resetting{version_};
  if (version_.step() != SQLITE_ROW) return;
  const std::int64_t version = version_.integer(0);
  if (current_ && version == current_->version && !force_reload_) return;
  auto rules = load_rules(db, table_prefix_, kMaxRowsOnLoop);
  if (rules) {
    force_reload_ = false;
    adopt(std::move(*rules));
  } else if (rules.error().too_many_rows) {
    force_reload_ = false;
    request(version, From::database);
  } else {
    log_failure(rules.error().message);
  }
}

// Each batch may try again.
void RulesSource::log_failure(const std::string& message) {
  if (message == logged_failure_) return;
  logged_failure_ = message;
  log_.error(fmt::format("cannot read the rules; keeping the previous ones: {}", message));
}

void RulesSource::adopt(std::shared_ptr<const Rules> rules) {
  logged_failure_.clear();
  log_problems(*rules);
  log_.notice(fmt::format("rules version {}: {} policies, {} rows", rules->version,
                          rules->policies.size(), rules->row_count));
  std::swap(current_, rules);
  if (!rules) return;
  thread_.change([this, &rules] { to_free_.push_back(std::move(rules)); });
}

// Only problems that the previous snapshot did not have, so that each is logged once.
void RulesSource::log_problems(const Rules& rules) {
  std::unordered_set<std::string> problems;
  std::size_t unlogged = 0;
  for (const RowProblem& problem : rules.problems) {
    std::string text = describe(problem);
    if (!known_problems_.contains(text)) {
      if (problems.size() < kMaxLoggedProblems) {
        problem.all_mail ? log_.error(text) : log_.warning(text);
      } else {
        ++unlogged;
      }
    }
    problems.insert(std::move(text));
  }
  if (unlogged > 0) log_.warning(fmt::format("{} more rows have problems", unlogged));
  known_problems_ = std::move(problems);
}

void RulesSource::request(std::int64_t version, From from) {
  if (requested_ == version) return;
  requested_ = version;
  thread_.change([this, from] { load_ = from; });
}

void RulesSource::work() {
  auto lock = thread_.lock();
  while (thread_.wait(lock, [this] { return load_ || !to_free_.empty(); })) {
    auto freed = std::exchange(to_free_, {});
    const auto from = std::exchange(load_, std::nullopt);
    lock.unlock();
    freed.clear();
    if (from) load_and_post(*from);
    lock.lock();
  }
}

void RulesSource::load_and_post(From from) {
  loop_.post(guard_.wrap([this, rules = load(from)] { loaded(rules); }));
}

RulesSource::Loaded RulesSource::load(From from) const {
  constexpr std::chrono::seconds kBusyTimeout{1};
  auto db = from == From::database ? open_database(file_, OpenMode::read_only, kBusyTimeout)
                                   : open_unwritable(file_, {});
  if (!db) return tl::unexpected{RulesFailure{false, db.error().message}};
  auto rules = load_rules(db->get(), table_prefix_, std::nullopt);
  // One that can be written gets what it lacks; until then the previous rules apply.
  if (rules || from == From::database) return rules;
  if (const auto supplied = supply_missing_parts(db->get(), table_prefix_); !supplied) {
    return tl::unexpected{RulesFailure{false, supplied.error().message}};
  }
  return load_rules(db->get(), table_prefix_, std::nullopt);
}

void RulesSource::loaded(const Loaded& rules) {
  requested_ = 0;  // if the version has changed since, the next refresh requests it
  if (rules) {
    adopt(*rules);
  } else {
    log_failure(rules.error().message);
  }
}

}  // namespace policyd
