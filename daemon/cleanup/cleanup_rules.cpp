// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cleanup/cleanup_rules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace policyd {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kQuotasAge = 30 * kDay;

// A limit with a period of more than 30 days still needs its counters.
constexpr const char* kBeyondItsPeriod =
    " AND LastUpdate < ?2 - coalesce((SELECT CAST(Period AS INTEGER) FROM {p}quotas WHERE ID ="
    " (SELECT QuotasID FROM {p}quotas_limits WHERE ID = QuotasLimitsID)), 0)";

struct Table {
  const char* name;
  const char* column;  // the time of the row
  const char* more;    // SQL added to the condition
  const char* period;  // SQL for the largest period; null: a fixed age
  const char* what;    // for the reason
  const char* unset;   // for the reason if no row sets a period
};

constexpr std::array kByPeriod{
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

bool has_index(sqlite3* db, const std::string& table, std::string_view column) {
  auto query = sql::Statement::prepare(
      db,
      "SELECT 1 FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i "
      "WHERE i.seqno = 0 AND i.name = ?2 COLLATE NOCASE");
  if (!query) return false;
  query->bind(1, table).bind(2, column);
  return query->step() == SQLITE_ROW;
}

class Maker {
 public:
  Maker(sqlite3* db, std::string_view table_prefix, TimePoint now)
      : db_(db),
        table_prefix_(table_prefix),
        now_s_(now.time_since_epoch() / std::chrono::seconds{1}) {}

  CleanupRule rule(const Table& table, std::int64_t age_s) {
    CleanupRule rule;
    rule.table = fmt::format("{}{}", table_prefix_, table.name);
    const std::string more = sql::with_prefix(table.more, table_prefix_);
    rule.by_age = more.empty() && has_index(db_, rule.table, table.column);
    // The + prevents the use of an index whose rows would have to be sorted again for each slice.
    rule.condition = fmt::format("{}{} < ?1{}", rule.by_age ? "" : "+", table.column, more);
    rule.order =
        rule.by_age ? fmt::format("TRUE ORDER BY {}", table.column) : "rowid > ?3 ORDER BY rowid";
    rule.now_s = now_s_;
    rule.before_s = now_s_ - age_s;
    rule.removes = age_s > 0;
    rule.reason = rule.removes ? fmt::format("{} more than {} ago", table.what, age_in_words(age_s))
                               : fmt::format("since no row sets {}", table.unset);
    return rule;
  }

  Result<CleanupRule> rule_by_period(const Table& table) {
    auto query = sql::Statement::prepare(db_, table.period, table_prefix_);
    if (!query) return tl::unexpected{query.error()};
    if (query->step() != SQLITE_ROW) return failure(sql::message_of(db_));
    return rule(table, std::max<std::int64_t>(0, query->integer(0)));
  }

 private:
  sqlite3* db_;
  std::string_view table_prefix_;
  std::int64_t now_s_;
};

}  // namespace

Result<std::vector<CleanupRule>> cleanup_rules(sqlite3* db, std::string_view table_prefix,
                                               std::chrono::hours sessions, TimePoint now) {
  Maker maker{db, table_prefix, now};
  std::vector<CleanupRule> rules;
  rules.push_back(maker.rule({"session_tracking", "UnixTimestamp", "", nullptr, "ended", ""},
                             std::chrono::seconds{sessions}.count()));
  rules.push_back(
      maker.rule({"quotas_tracking", "LastUpdate", kBeyondItsPeriod, nullptr, "last counted", ""},
                 kQuotasAge));
  for (const Table& table : kByPeriod) {
    auto rule = maker.rule_by_period(table);
    if (!rule) return tl::unexpected{rule.error()};
    rules.push_back(std::move(*rule));
  }
  return rules;
}

}  // namespace policyd
