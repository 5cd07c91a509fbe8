// SPDX-License-Identifier: AGPL-3.0-only
// Writes a limit's rows: one policy with its members, and per period one quota with one
// quotas_limits row. overrides.hpp handles the effects on other limits; limits.hpp combines both.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plugin/database/change_set.hpp"
#include "plugin/limit/limit.hpp"

namespace limits {

// What the rows of an existing limit should contain.
struct DesiredRows {
  std::vector<Rate> rates;
  std::string track;                   // replaces a per-client Track that joins IPv6 clients
  std::optional<std::string> verdict;  // as stored in rows; NULL for none
  std::function<std::optional<std::string>(const Rate&)> text;
  std::optional<std::string> name;  // of the policy; none: unchanged
  std::optional<bool> enabled;      // none: unchanged
};

DesiredRows desired_rows(const WantedLimit& wanted);
// The existing limit with other rates: custom texts are kept, default texts follow the rates.
DesiredRows desired_rows(const StoredLimit& stored, std::vector<Rate> rates);

// Inserts a new policy with all its rows.
void insert_limit(ChangeSet& changes, const WantedLimit& wanted);
// Rows keep their counters if unit and period stay the same; only differences are written.
void update_limit(ChangeSet& changes, const DesiredRows& desired, const StoredLimit& stored);
void switch_on(ChangeSet& changes, const StoredLimit& stored);
void switch_off(ChangeSet& changes, const StoredLimit& stored);
// Deletes its counters too, and its policy unless other rows use it.
void delete_limit(ChangeSet& changes, const StoredLimit& stored);

// Whether the policy has quotas other than this limit's, or rows of other modules.
bool shares_policy(ChangeSet& changes, const StoredLimit& limit);

// NULL and the empty string mean the same in Verdict and Data.
bool same_text(const std::optional<std::string>& a, const std::optional<std::string>& b);
// Whether all texts are those of message_for.
bool has_default_texts(const StoredLimit& limit);

}  // namespace limits
