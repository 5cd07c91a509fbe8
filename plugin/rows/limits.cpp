// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/limits.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_set>

#include "plugin/rows/exceptions.hpp"
#include "plugin/rows/limit_rows.hpp"
#include "plugin/rows/plan_entry.hpp"
#include "plugin/rows/plan_report.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

Result<void> check_groups(const Surroundings& around, const GroupFaults& faults,
                          const WantedLimit& wanted) {
  const auto& broken = wanted.direction == Direction::send ? faults.sources : faults.destinations;
  std::vector<Target> targets = wanted.except;
  targets.push_back(wanted.target);
  for (const Target& target : targets) {
    if (target.who != Who::group) continue;
    if (!around.groups.contains(target.name)) {
      return failure(
          fmt::format("there is no {0}; 'carbonio-limits import' creates it from a file with a "
                      "line such as \"{0} anna@example.org bob@example.org\"",
                      name_of(Target{Who::group, target.name})));
    }
    const auto found = broken.find(target.name);
    if (found != broken.end()) return failure(describe(found->first, found->second));
  }
  return {};
}

// All groups, as they will be read back.
class GroupsAfter {
 public:
  GroupsAfter() = default;
  explicit GroupsAfter(std::vector<policyd::GroupRow> groups) : groups_(std::move(groups)) {
    for (std::size_t i = 0; i < groups_.size(); ++i) index_.emplace(groups_[i].name, i);
  }

  void change(const GroupChange& change) {
    const auto [found, is_new] = index_.try_emplace(change.name, groups_.size());
    if (is_new) groups_.push_back({0, change.name, {}});
    auto& members = groups_[found->second].members;
    const std::unordered_set<std::int64_t> remove(change.remove.begin(), change.remove.end());
    std::erase_if(members, [&](const policyd::GroupRow::Member& member) {
      return remove.contains(member.id);
    });
    for (const GroupChange::Item& item : change.insert) members.push_back({0, item.text});
    if (change.disable || change.drop) members.clear();
    faults_.reset();
  }

  [[nodiscard]] const GroupFaults& faults() {
    if (!faults_) faults_ = faults_of(groups_);
    return *faults_;
  }
  [[nodiscard]] const std::vector<policyd::GroupRow>& all() const { return groups_; }

 private:
  std::vector<policyd::GroupRow> groups_;
  std::unordered_map<std::string, std::size_t> index_;
  std::optional<GroupFaults> faults_;  // none: to be found again
};

// A group in an exception that cannot be used would switch the limit off for all.
Result<void> check_in_force(const std::vector<PlanEntry>& entries, const AllLimits& after) {
  for (const PlanEntry& entry : entries) {
    if (entry.gone || (entry.before != nullptr && !entry.before->broken_group.empty())) continue;
    const StoredLimit& now = *find_limit(after, entry.now.id);
    const std::string& group = now.broken_group;
    if (group.empty()) continue;
    const auto source = after.faults.sources.find(group);
    const auto& broken =
        source == after.faults.sources.end() ? after.faults.destinations.at(group) : source->second;
    return failure(fmt::format("{}; with it the limit {} for {} would hold for no one",
                               describe(group, broken), format_limit(now.plain_rates()),
                               target_text(now)));
  }
  return {};
}

// Which existing limit the rates of each unit belong to.
struct Place {
  std::optional<std::size_t> entry;  // none: a new limit
  std::vector<Rate> rates;
};

}  // namespace

struct LimitPlan::State {
  AllLimits before;
  Surroundings around;
  GroupsAfter groups_after;
  std::vector<PlanEntry> entries;  // first those of `before`, in their order
  std::unordered_map<std::string, std::vector<std::size_t>> by_key;
  std::unordered_map<std::int64_t, std::vector<std::size_t>> by_policy;

  struct Operation {
    std::size_t entry = 0;
    std::optional<WantedLimit> wanted;
    bool enables_policy = false;  // that others use too
  };
  std::vector<Operation> operations;

  std::vector<GroupChange> groups;
  struct Policy {
    std::size_t place = 0;  // before this entry
    CarriedPolicy policy;
  };
  std::vector<Policy> policies;
  std::vector<CarriedRow> rows;

  [[nodiscard]] std::size_t entry_of(std::int64_t id) const {
    const StoredLimit* limit = find_limit(before, id);
    return static_cast<std::size_t>(limit - before.limits.data());
  }
  [[nodiscard]] Result<std::optional<std::size_t>> find(const WantedLimit& wanted, Unit unit) const;
  [[nodiscard]] Result<std::vector<Place>> places(const WantedLimit& wanted) const;
  std::size_t create(const WantedLimit& wanted);
  void edit(std::size_t entry, StoredLimit now);
  void write_rows(RowChanges& changes);
};

LimitPlan::LimitPlan(AllLimits all, Surroundings around) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.before = std::move(all);
  state.around = std::move(around);
  state.groups_after = GroupsAfter{state.before.groups};
  state.entries.reserve(state.before.limits.size());
  for (std::size_t i = 0; i < state.before.limits.size(); ++i) {
    const StoredLimit& limit = state.before.limits[i];
    state.entries.push_back({&limit, limit});
    state.by_policy[limit.policy_id].push_back(i);
    if (auto key = key_of(limit); !key.empty()) state.by_key[std::move(key)].push_back(i);
  }
}

LimitPlan::~LimitPlan() = default;
LimitPlan::LimitPlan(LimitPlan&&) noexcept = default;

const AllLimits& LimitPlan::before() const { return state_->before; }

Result<std::optional<std::size_t>> LimitPlan::State::find(const WantedLimit& wanted,
                                                          Unit unit) const {
  const auto found = by_key.find(key_of(wanted));
  if (found == by_key.end()) return std::optional<std::size_t>{};
  std::vector<std::string> ids;
  std::optional<std::size_t> out;
  for (const std::size_t entry : found->second) {
    const StoredLimit& limit = entries[entry].now;
    if (entries[entry].gone || !units_of(limit).has(unit)) continue;
    out = entry;
    ids.push_back(fmt::format("{}", limit.id));
  }
  if (ids.size() <= 1) return out;
  return failure(
      fmt::format("{} such limits for {} exist already (IDs {}), so it is not clear which one to "
                  "change; remove all but one of them with 'carbonio-limits remove ID'",
                  ids.size(), name_of(wanted.target), join_with_and(ids)));
}

// A size and a count for the same may be two limits.
Result<std::vector<Place>> LimitPlan::State::places(const WantedLimit& wanted) const {
  std::vector<Place> out;
  std::vector<Rate> homeless;
  for (std::size_t i = 0; i < kUnits; ++i) {
    const auto unit = static_cast<Unit>(i);
    std::vector<Rate> rates;
    std::copy_if(wanted.rates.begin(), wanted.rates.end(), std::back_inserter(rates),
                 [&](const Rate& rate) { return rate.unit == unit; });
    if (rates.empty()) continue;
    const auto found = find(wanted, unit);
    if (!found) return tl::unexpected{found.error()};
    if (!*found) {
      homeless.insert(homeless.end(), rates.begin(), rates.end());
    } else if (!out.empty() && out.front().entry == *found) {
      out.front().rates.insert(out.front().rates.end(), rates.begin(), rates.end());
    } else {
      out.push_back({*found, std::move(rates)});
    }
  }
  if (out.empty()) {
    out.push_back({std::nullopt, wanted.rates});
  } else {
    auto& rates = out.front().rates;
    rates.insert(rates.end(), homeless.begin(), homeless.end());
  }
  return out;
}

std::size_t LimitPlan::State::create(const WantedLimit& wanted) {
  PlanEntry entry;
  entry.now = new_limit(wanted);
  entry.description = description(wanted.direction, wanted.target, wanted.per);
  entries.push_back(std::move(entry));
  by_key[key_of(wanted)].push_back(entries.size() - 1);
  return entries.size() - 1;
}

// Other limits of the policy have the same members.
void LimitPlan::State::edit(std::size_t entry, StoredLimit now) {
  PlanEntry& edited = entries[entry];
  edited.touched = true;
  if (edited.before != nullptr && !edited.moves) {
    for (const std::size_t other : by_policy[now.policy_id]) {
      entries[other].now.policy_enabled = now.policy_enabled;
      entries[other].now.members = now.members;
    }
  }
  edited.now = std::move(now);
}

Result<void> LimitPlan::put(const WantedLimit& wanted, bool whole) {
  State& state = *state_;
  auto checked = check_groups(state.around, state.groups_after.faults(), wanted);
  if (!checked) return checked;
  const auto places = state.places(wanted);
  if (!places) return tl::unexpected{places.error()};
  for (const Place& place : *places) {
    WantedLimit here = wanted;
    here.rates = place.rates;
    std::size_t entry = 0;
    if (place.entry) {
      entry = *place.entry;
      const StoredLimit& now = state.entries[entry].now;
      const Units named = whole ? Units::all() : units_of(wanted.rates);
      here.rates = with_other_units(std::move(here.rates), now, named);
      StoredLimit changed = changed_limit(now, desired_rows(here));
      if (now.what.per != here.per) {
        changed = counted_per(std::move(changed), here.per);
        state.entries[entry].moves = is_shared(state.entries[entry], state.around);
      }
      state.edit(entry, std::move(changed));
    } else {
      entry = state.create(here);
    }
    PlanEntry& put = state.entries[entry];
    put.touched = true;
    put.exempt.emplace();
    for (const Target& target : wanted.except) {
      put.exempt->push_back(item_of(exempt_from(wanted.per, target)));
    }
    state.operations.push_back({entry, std::move(here)});
  }
  return {};
}

void LimitPlan::set_rates(std::int64_t id, const std::vector<Rate>& rates) {
  const std::size_t entry = state_->entry_of(id);
  const StoredLimit& now = state_->entries[entry].now;
  state_->edit(entry, changed_limit(now, desired_rows(now, rates)));
  state_->operations.push_back({entry, std::nullopt});
}

void LimitPlan::switch_limit(std::int64_t id, bool on) {
  const std::size_t entry = state_->entry_of(id);
  const StoredLimit now = state_->entries[entry].now;
  const bool enables_policy =
      on && !now.policy_enabled && is_shared(state_->entries[entry], state_->around);
  const bool differs = on ? !now.enabled() : now.partly_enabled();
  state_->edit(entry, differs ? switched_limit(now, on) : now);
  state_->operations.push_back({entry, std::nullopt, enables_policy});
}

void LimitPlan::remove(std::int64_t id) {
  PlanEntry& entry = state_->entries[state_->entry_of(id)];
  entry.touched = true;
  entry.gone = true;
  state_->operations.push_back({state_->entry_of(id), std::nullopt});
}

void LimitPlan::add_group(GroupChange group) {
  state_->around.groups.insert(group.name);
  state_->groups_after.change(group);
  state_->groups.push_back(std::move(group));
}

void LimitPlan::add_policy(CarriedPolicy policy) {
  state_->policies.push_back({state_->entries.size(), std::move(policy)});
}

void LimitPlan::add_row(CarriedRow row) { state_->rows.push_back(std::move(row)); }

void LimitPlan::State::write_rows(RowChanges& changes) {
  for (const PlanEntry& entry : entries) {
    if (entry.gone) changes.delete_rows(*entry.before);
  }
  for (const PlanEntry* entry : last_of_policies(entries, around)) {
    changes.delete_policy(*entry->before);
  }
  auto policy = policies.begin();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    PlanEntry& entry = entries[i];
    for (; policy != policies.end() && policy->place <= i; ++policy) {
      changes.insert_policy(policy->policy);
    }
    if (!entry.touched || entry.gone) continue;
    const std::size_t size = changes.size();
    if (entry.before == nullptr) {
      changes.insert_limit(entry.now, entry.description);
    } else {
      if (entry.moves) changes.move_limit(*entry.before, entry.now);
      changes.update_limit(*entry.before, entry.now);
    }
    entry.changed = changes.size() != size;
  }
  for (; policy != policies.end(); ++policy) changes.insert_policy(policy->policy);
  for (const CarriedRow& row : rows) changes.put_row(row);
}

Result<PlannedChange> LimitPlan::finish() {
  State& state = *state_;
  Exceptions exceptions = find_exceptions(state.entries, state.before.except_groups, state.around);
  RowChanges changes{std::move(state.around.ids)};
  for (const GroupChange& group : state.groups) changes.change_group(group);
  state.write_rows(changes);
  for (const GroupChange& group : exceptions.groups) changes.change_group(group);

  PlannedChange out;
  for (const GroupChange& group : exceptions.groups) state.groups_after.change(group);
  out.after = limits_after(state.entries, state.before, std::move(exceptions.after),
                           state.groups_after.all());
  if (auto checked = check_in_force(state.entries, out.after); !checked) {
    return tl::unexpected{checked.error()};
  }
  std::vector<std::size_t> entries;
  for (const State::Operation& operation : state.operations) {
    const PlanEntry& entry = state.entries[operation.entry];
    entries.push_back(operation.entry);
    ApplyResult result = result_of(entry, out.after);
    if (operation.wanted) result.wanted = *operation.wanted;
    if (operation.enables_policy) {
      result.consequences.push_back(
          fmt::format("policy {} was switched off as a whole; its other limits and rules are "
                      "switched on again too",
                      result.limit.policy_id));
    }
    out.results.push_back(std::move(result));
  }
  report_exceptions(state.entries, exceptions, entries, out.results);
  out.changes = std::move(changes).take();
  return out;
}

}  // namespace limits
