// SPDX-License-Identifier: AGPL-3.0-only
// A change of limits, from values to statements: the limits as they are, what commands make of
// them, and the difference between their rows. A limit is one policy; each of its periods is one
// quota with one quotas_limits row; an except-group names those to whom it does not apply, because
// a more special limit does or because the admin said so. Rows created by hand are changed the same
// way.
//
// Nothing here reads or writes: plugin/commands/with_database.hpp reads what a plan starts from and
// runs the statements that it ends with.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plugin/limit/limit.hpp"
#include "plugin/rows/carried.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/rows/surroundings.hpp"

namespace limits {

// Rates that no longer hold, which the command did not name, and which the new ones do not imply.
struct Loss {
  std::int64_t of = 0;      // the limit that had them
  std::vector<Rate> rates;  // by period
  bool replaced = false;    // the limit stays, but another one replaces it for a target
  std::string target;       // of the limit that had them
};

struct ApplyResult {
  enum class Kind : std::uint8_t { created, changed, unchanged };
  Kind kind = Kind::unchanged;
  StoredLimit limit;                  // after the change; before it if the limit was removed
  std::optional<StoredLimit> before;  // none if it was created
  WantedLimit wanted;                 // of `put`: with the rates that the limit has now
  // "100/h → 200/h", "verdict defer → reject", "off → on": what changed.
  std::vector<std::string> differences;
  // "limit 3 (100/h for everyone) no longer applies to alice@example.org; limit 4 does".
  std::vector<std::string> consequences;
  std::vector<Loss> losses;
};

struct PlannedChange {
  AllLimits after;
  std::vector<ApplyResult> results;  // in the order of the calls; `put` may have two for one call
  std::vector<RowChange> changes;    // to be run in this order, in one transaction
};

class LimitPlan {
 public:
  LimitPlan(AllLimits all, Surroundings around);
  ~LimitPlan();
  LimitPlan(LimitPlan&&) noexcept;
  LimitPlan& operator=(LimitPlan&&) = delete;
  LimitPlan(const LimitPlan&) = delete;
  LimitPlan& operator=(const LimitPlan&) = delete;

  // The limits before the change.
  [[nodiscard]] const AllLimits& before() const;

  // Creates the limit, or changes the one for the same; rates in units that it does not name stay,
  // unless it is to be `whole`. If several are for the same, nothing is changed and the Error names
  // them; likewise if a group that it names does not exist or is broken.
  Result<void> put(const WantedLimit& wanted, bool whole = false);
  // These take the ID of a limit of before(), even one that our options cannot express.
  void set_rates(std::int64_t id, const std::vector<Rate>& rates);
  void switch_limit(std::int64_t id, bool on);
  // With its rows, counters and except-group; more general limits apply to its target again.
  void remove(std::int64_t id);

  // What import carries: groups before all limits, policies between the calls of `put`, other rows.
  void add_group(GroupChange group);
  void add_policy(CarriedPolicy policy);
  void add_row(CarriedRow row);

  // The exceptions follow from all limits as they are now. An Error if a limit would no longer
  // match any mail because of a broken group. To be called once, at the end.
  Result<PlannedChange> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace limits
