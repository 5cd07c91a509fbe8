// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/rules_loader.hpp"

#include <unordered_map>
#include <vector>

#include "daemon/rules/all_mail.hpp"
#include "daemon/rules/for_all_mail.hpp"
#include "daemon/rules/match/rows.hpp"
#include "daemon/rules/merged_row_checks.hpp"
#include "daemon/rules/module_rows_loader.hpp"
#include "daemon/rules/rule_reader.hpp"

namespace policyd {
namespace {

class Loader {
 public:
  Loader(sqlite3* db, const std::string& table_prefix, std::optional<std::size_t> row_limit)
      : reader_(db, table_prefix, row_limit, *rules_) {
    rules_->version = read_rules_version(db, table_prefix).value_or(0);
  }

  std::shared_ptr<const Rules> load() {
    load_policies();
    load_module_rows(reader_);
    load_members();
    load_groups();
    const auto for_all = policies_for_all_mail(members_, groups_, rules_->policies.size());
    check_merged_rows(*rules_, for_all);
    mark_rows_that_defer_all_mail(*rules_, for_all);
    rules_->index.emplace(members_, groups_, rules_->problems);
    rules_->own_domains = OwnDomains{groups_};
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
          reader_.check_number("policies", policy.id, "Priority", row, 1);
          policy.priority = row.integer(1);
          policy.name = row.text(2);
          rules_->policies.push_back(std::move(policy));
        });
  }

  void load_members() {
    reader_.each(
        "SELECT ID, PolicyID, Source, Destination FROM {p}policy_members WHERE Disabled = 0 ORDER "
        "BY ID",
        [&](const sql::Statement& row) {
          const auto owner = rules_->policy_by_id.find(row.integer(1));
          if (owner == rules_->policy_by_id.end()) return;
          members_.push_back(
              {row.integer(0), owner->second, row.optional_text(2), row.optional_text(3)});
        });
  }

  void load_groups() {
    std::unordered_map<std::int64_t, std::size_t> index;
    reader_.each("SELECT ID, Name, Disabled FROM {p}policy_groups ORDER BY ID",
                 [&](const sql::Statement& row) {
                   if (row.text(2) == "0") index.emplace(row.integer(0), groups_.size());
                   groups_.push_back({row.integer(0), std::string{row.text(1)}, {}});
                 });
    reader_.each(
        "SELECT ID, PolicyGroupID, Member FROM {p}policy_group_members WHERE Disabled = 0 ORDER BY "
        "ID",
        [&](const sql::Statement& row) {
          const auto owner = index.find(row.integer(1));
          if (owner == index.end()) return;
          groups_[owner->second].members.push_back({row.integer(0), std::string{row.text(2)}});
        });
  }

  std::shared_ptr<Rules> rules_ = std::make_shared<Rules>();
  RuleReader reader_;
  std::vector<MemberRow> members_;
  std::vector<GroupRow> groups_;
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
  return sql::first_integer(db, "SELECT Version FROM {p}limits_rules_version", table_prefix);
}

}  // namespace policyd
