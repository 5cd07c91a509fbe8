// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/rules_loader.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/ascii.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/match/rows.hpp"
#include "daemon/rules/merged_row_checks.hpp"
#include "daemon/rules/module_rows_loader.hpp"
#include "daemon/rules/rule_reader.hpp"

namespace policyd {
namespace {

// A century. Longer ones say the same, and could not be counted in milliseconds.
constexpr std::int64_t kLongestPeriodS = 100LL * 366 * 86400;

class Loader {
 public:
  Loader(sqlite3* db, const std::string& table_prefix, std::optional<std::size_t> row_limit)
      : reader_(db, table_prefix, row_limit, *rules_) {
    rules_->version = read_rules_version(db, table_prefix).value_or(0);
  }

  std::shared_ptr<const Rules> load() {
    load_policies();
    load_quotas();
    load_quota_limits();
    load_module_rows(reader_);
    load_members();
    check_merged_rows(*rules_, for_all_);
    load_groups();
    rules_->index.emplace(members_, groups_, rules_->problems);
    return rules_;
  }

 private:
  void load_policies() {
    reader_.each(
        "SELECT ID, Priority, Name FROM {p}policies WHERE Disabled = 0 ORDER BY Priority, ID",
        [&](const sql::Statement& row) {
          rules_->policy_by_id.emplace(row.integer(0), rules_->policies.size());
          Policy policy;
          policy.id = row.integer(0);
          reader_.check_number("policies", policy.id, row, 1);
          policy.priority = row.integer(1);
          policy.name = row.text(2);
          rules_->policies.push_back(std::move(policy));
        });
  }

  void load_quotas() {
    reader_.each(
        "SELECT ID, PolicyID, Name, Track, Period, Verdict, Data, LastQuota FROM {p}quotas "
        "WHERE Disabled = 0 ORDER BY ID",
        [&](const sql::Statement& row) {
          Policy* owner = reader_.policy(row.integer(1));
          if (owner == nullptr) return;
          Quota quota;
          quota.track = RowTrack{row.text(3)};
          quota.id = row.integer(0);
          quota.name = row.text(2);
          const bool number = reader_.check_number("quotas", quota.id, row, 4);
          quota.period_s = std::clamp<std::int64_t>(row.integer(4), 0, kLongestPeriodS);
          quota.verdict = RowVerdict::parse(row.text(5));
          quota.data = row.text(6);
          quota.last = row.text(7) == "1";
          if (!quota.track) reader_.problem("quotas", quota.id, quota.track.error().message);
          if (number && quota.period_s == 0)
            reader_.problem("quotas", quota.id, "Period is no number of seconds");
          if (quota.verdict.kind != RowVerdict::Kind::none && !quota.verdict.is_for_limits()) {
            reader_.problem("quotas", quota.id,
                            fmt::format("Verdict '{}' is none", quota.verdict.text));
          }
          quotas_.emplace(quota.id, std::pair{owner, owner->quotas.size()});
          owner->quotas.push_back(std::move(quota));
        });
  }

  void load_quota_limits() {
    reader_.each(
        "SELECT ID, QuotasID, Type, CounterLimit FROM {p}quotas_limits WHERE Disabled = 0 ORDER BY "
        "ID",
        [&](const sql::Statement& row) {
          const auto owner = quotas_.find(row.integer(1));
          if (owner == quotas_.end()) return;
          std::string type{row.text(2)};
          lower_case(type);
          if (type != "messagecount" && type != "messagecumulativesize") {
            reader_.problem("quotas_limits", row.integer(0),
                            fmt::format("Type '{}' is no limit", row.text(2)));
            return;
          }
          QuotaLimit limit;
          limit.id = row.integer(0);
          limit.type = type == "messagecount" ? LimitType::message_count
                                              : LimitType::message_cumulative_size;
          const bool number = reader_.check_number("quotas_limits", limit.id, row, 3);
          limit.counter_limit = std::max(0.0, row.real(3));
          if (number && limit.counter_limit == 0) {
            reader_.problem("quotas_limits", limit.id, "CounterLimit is no number above 0");
          }
          auto& [owning_policy, place] = owner->second;
          owning_policy->quotas[place].limits.push_back(limit);
        });
  }

  void load_members() {
    for_all_.resize(rules_->policies.size());
    reader_.each(
        "SELECT ID, PolicyID, Source, Destination FROM {p}policy_members WHERE Disabled = 0 ORDER "
        "BY ID",
        [&](const sql::Statement& row) {
          const auto owner = rules_->policy_by_id.find(row.integer(1));
          if (owner == rules_->policy_by_id.end()) return;
          const MemberRow& member = members_.emplace_back(
              MemberRow{row.integer(0), owner->second, row.optional_text(2), row.optional_text(3)});
          if (matches_everything(member.source) && matches_everything(member.destination)) {
            for_all_[owner->second] = true;
          }
        });
  }

  void load_groups() {
    std::unordered_map<std::int64_t, std::size_t> place;
    reader_.each("SELECT ID, Name, Disabled FROM {p}policy_groups ORDER BY ID",
                 [&](const sql::Statement& row) {
                   if (row.text(2) == "0") place.emplace(row.integer(0), groups_.size());
                   groups_.push_back({row.integer(0), std::string{row.text(1)}, {}});
                 });
    reader_.each(
        "SELECT ID, PolicyGroupID, Member FROM {p}policy_group_members WHERE Disabled = 0 ORDER BY "
        "ID",
        [&](const sql::Statement& row) {
          const auto owner = place.find(row.integer(1));
          if (owner == place.end()) return;
          groups_[owner->second].members.push_back({row.integer(0), std::string{row.text(2)}});
        });
  }

  std::shared_ptr<Rules> rules_ = std::make_shared<Rules>();
  RuleReader reader_;
  std::vector<MemberRow> members_;
  std::vector<bool> for_all_;  // policies that match all mail
  std::vector<GroupRow> groups_;
  // Quotas by ID: `policies` does not grow any more, so the pointers hold.
  std::unordered_map<std::int64_t, std::pair<Policy*, std::size_t>> quotas_;
};

}  // namespace

tl::expected<std::shared_ptr<const Rules>, RulesFailure> load_rules(
    sqlite3* db, const std::string& table_prefix, std::optional<std::size_t> row_limit) {
  const bool own_transaction = sqlite3_get_autocommit(db) != 0;
  if (own_transaction && sql::execute(db, "BEGIN") != SQLITE_OK) {
    return tl::unexpected{RulesFailure{false, sql::message_of(db)}};
  }
  tl::expected<std::shared_ptr<const Rules>, RulesFailure> result;
  try {
    result = Loader{db, table_prefix, row_limit}.load();
  } catch (const RulesError& error) {
    result = tl::unexpected{error.failure()};
  }
  if (own_transaction) sql::execute(db, "COMMIT");
  return result;
}

std::optional<std::int64_t> read_rules_version(sqlite3* db, const std::string& table_prefix) {
  auto statement = sql::Statement::prepare(
      db, sql::with_prefix("SELECT Version FROM {p}limits_rules_version", table_prefix));
  if (!statement || statement->step() != SQLITE_ROW) return std::nullopt;
  return statement->integer(0);
}

}  // namespace policyd
