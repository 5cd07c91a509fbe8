// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/cleanup_rules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace policyd {
namespace {

constexpr std::int64_t kDay = 86'400;

// A limit with a period of more than 30 days still needs its counters.
constexpr const char* kBeyondItsPeriod =
    " AND LastUpdate < ?2 - coalesce((SELECT CAST(Period AS INTEGER) FROM {p}quotas WHERE ID ="
    " (SELECT QuotasID FROM {p}quotas_limits WHERE ID = QuotasLimitsID)), 0)";

struct Table {
  const char* name;
  const char* column;  // the time of the row
  const char* more;    // SQL added to the condition
  const char* age;     // SQL for the largest period; null: as configured for sessions
  const char* what;    // for the reason
  const char* unset;   // for the reason if no row sets a period; empty: the age is fixed
};

constexpr std::array kTables{
    Table{"session_tracking", "UnixTimestamp", "", nullptr, "ended", ""},
    Table{"quotas_tracking", "LastUpdate", kBeyondItsPeriod, "SELECT 30 * 86400", "last counted",
          ""},
    Table{"greylisting_tracking", "LastUpdate", " AND +Count = 0",
          "SELECT max(CAST(GreylistUnAuthValidity AS INTEGER)) FROM {p}greylisting",
          "never let through and last tried", "GreylistUnAuthValidity"},
    Table{"greylisting_tracking", "LastUpdate", " AND +Count <> 0",
          "SELECT max(CAST(GreylistAuthValidity AS INTEGER)) FROM {p}greylisting",
          "let through and last seen", "GreylistAuthValidity"},
    Table{"greylisting_autowhitelist", "LastSeen", "",
          "SELECT max(CAST(AutoWhitelistPeriod AS INTEGER)) FROM {p}greylisting", "last seen",
          "AutoWhitelistPeriod"},
    Table{"greylisting_autoblacklist", "Added", "",
          "SELECT max(CAST(AutoBlacklistPeriod AS INTEGER)) FROM {p}greylisting", "added",
          "AutoBlacklistPeriod"},
    Table{"checkhelo_tracking", "LastUpdate", "",
          "SELECT max(max(coalesce(CAST(BlacklistPeriod AS INTEGER), 0),"
          " coalesce(CAST(HRPPeriod AS INTEGER), 0))) FROM {p}checkhelo",
          "last used", "BlacklistPeriod or HRPPeriod"},
};

std::string age_in_words(std::int64_t seconds) {
  const bool days = seconds % kDay == 0;
  const std::int64_t count = days ? seconds / kDay : seconds % 3600 == 0 ? seconds / 3600 : seconds;
  const char* unit = days ? "day" : seconds % 3600 == 0 ? "hour" : "second";
  return fmt::format("{} {}{}", count, unit, count == 1 ? "" : "s");
}

bool has_table(sqlite3* db, const std::string& table) {
  auto query = sql::Statement::prepare(
      db, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1 COLLATE NOCASE");
  if (!query) return true;  // the error shows when it is read
  query->bind(1, table);
  return query->step() != SQLITE_DONE;
}

bool has_index(sqlite3* db, const std::string& table, std::string_view column) {
  auto query = sql::Statement::prepare(
      db,
      "SELECT 1 FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i "
      "WHERE i.seqno = 0 AND i.name = ?2 COLLATE NOCASE");
  if (!query) return false;
  query->bind(1, table).bind(2, column);
  return query->step() == SQLITE_ROW;
}

Result<std::int64_t> largest_age(sqlite3* db, std::string_view query,
                                 std::string_view table_prefix) {
  auto rows = sql::Statement::prepare(db, query, table_prefix);
  if (!rows) return tl::unexpected{rows.error()};
  if (rows->step() != SQLITE_ROW) return failure(sql::message_of(db));
  return std::max<std::int64_t>(0, rows->integer(0));
}

}  // namespace

std::vector<CleanupRule> cleanup_rules(sqlite3* db, std::string_view table_prefix,
                                       std::chrono::hours sessions, TimePoint now) {
  const std::int64_t now_s = now.time_since_epoch() / std::chrono::seconds{1};
  std::vector<CleanupRule> rules;
  for (const Table& table : kTables) {
    CleanupRule& rule = rules.emplace_back();
    rule.table = fmt::format("{}{}", table_prefix, table.name);
    rule.removes = has_table(db, rule.table);
    rule.reason = "since there is no such table";
    if (!rule.removes) continue;
    Result<std::int64_t> age_s = std::chrono::seconds{sessions}.count();
    if (table.age != nullptr) age_s = largest_age(db, table.age, table_prefix);
    if (!age_s) {
      rule.removes = false;
      rule.problem = age_s.error().message;
      continue;
    }
    const std::string more = sql::with_prefix(table.more, table_prefix);
    rule.by_age = more.empty() && has_index(db, rule.table, table.column);
    // The + prevents the use of an index whose rows would have to be sorted again for each slice.
    rule.condition = fmt::format("{}{} < ?1{}", rule.by_age ? "" : "+", table.column, more);
    rule.order =
        rule.by_age ? fmt::format("TRUE ORDER BY {}", table.column) : "rowid > ?3 ORDER BY rowid";
    rule.now_s = now_s;
    rule.before_s = now_s - *age_s;
    rule.removes = *age_s > 0;
    rule.reason = rule.removes
                      ? fmt::format("{} more than {} ago", table.what, age_in_words(*age_s))
                      : fmt::format("since no row sets {}", table.unset);
  }
  return rules;
}

}  // namespace policyd
