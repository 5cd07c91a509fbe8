// SPDX-License-Identifier: AGPL-3.0-only
// What no command line can express and export and import carry nevertheless: groups, policies with
// the rows that belong to them, and lists of hosts. Not blocks: they are what happened here, and an
// old file would bring back what is over, with the status that an account had then. As values
// without IDs, so that two databases can be compared. Only reads.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "plugin/database/change_set.hpp"

namespace limits {

// The columns that are not NULL, without ID and PolicyID, in the order of the table.
struct CarriedRow {
  std::string table;
  std::vector<std::pair<std::string, std::string>> values;

  bool operator==(const CarriedRow&) const = default;
};

// A policy, its members, each quota with its limits, and the rows of other modules.
struct CarriedPolicy {
  std::int64_t id = 0;  // not compared
  std::vector<CarriedRow> rows;
};

struct CarriedGroup {
  std::string name;
  bool enabled = true;
  // The enabled ones, on Carbonio without those that sync or hook wrote; none if all are examples
  // of a new database.
  std::vector<std::string> members;

  bool operator==(const CarriedGroup&) const = default;
};

struct Carried {
  std::vector<CarriedGroup> groups;
  std::vector<CarriedPolicy> policies;  // by their ID
  std::vector<CarriedRow> others;       // what a new database has and this one not, as off
};

// A column that names rows by their ID, which import sets itself.
bool is_reference(std::string_view column);

// The tables whose rows are carried: those that belong to a policy, and the others.
std::vector<std::string_view> carried_tables_of_policies();
std::vector<std::string_view> other_carried_tables();

// Without quotas and except-groups that command lines express already.
struct InWords {
  std::unordered_set<std::int64_t> quotas;  // IDs
  std::unordered_set<std::string> groups;   // names
};
// Quotas that a command line cannot express whatever their limits: with LastQuota, or of a policy
// with a priority.
Result<std::unordered_set<std::int64_t>> read_special_quotas(const Tables& tables);
Result<Carried> read_carried(const Tables& tables, const InWords& in_words, bool carbonio);

// Of a row of other_carried_tables(): its table and the name, which that has once.
std::string listed_name(const CarriedRow& row);

// Whether every new database has them.
bool is_example(const CarriedRow& row);
bool is_example(const CarriedGroup& group);
std::string_view name_of(const CarriedPolicy& policy);
// One of the two groups that sync writes.
bool is_own_group(std::string_view group);
bool is_example(const CarriedPolicy& policy);
bool is_block(const CarriedPolicy& policy);

}  // namespace limits
