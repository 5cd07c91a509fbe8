// SPDX-License-Identifier: AGPL-3.0-only
// The rule tables of a database in memory, where limits can be tried without touching the real
// ones.
#pragma once

#include <memory>
#include <vector>

#include "daemon/rules/rules.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/rows/limits.hpp"

namespace limits {

// The same rules twice: as they decide, and with limits that only count. The second ones show how
// far a counter would go if nothing were refused.
struct ReplayRules {
  std::shared_ptr<const policyd::Rules> deciding;
  std::shared_ptr<const policyd::Rules> watching;
};

class RulesCopy {
 public:
  static Result<RulesCopy> of(const Tables& from);

  [[nodiscard]] Tables tables() const { return {db_.get(), {}}; }
  // The limits as they are in the copy.
  [[nodiscard]] Result<LimitPlan> plan() const;
  Result<void> run(const std::vector<RowChange>& changes);
  // Leaves these limits alone switched on.
  Result<void> only(const std::vector<StoredLimit>& limits);

  // As `send` and `receive` make them: those that only monitor refuse mail, too.
  Result<void> let_refuse(const std::vector<StoredLimit>& limits);

  // Without any.
  Result<void> without_limits();

  // Once, at the end.
  Result<ReplayRules> rules();

 private:
  explicit RulesCopy(policyd::sql::Handle db) : db_(std::move(db)) {}
  Result<void> copy_table(const Tables& from, const std::string& table);

  policyd::sql::Handle db_;
};

}  // namespace limits
