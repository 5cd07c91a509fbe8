// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/limits.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "plugin/rows/overrides.hpp"
#include "plugin/rows/write_limit.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::failure;

std::vector<std::string> differences(const StoredLimit& before, const StoredLimit& after) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view what, const std::string& from, const std::string& to) {
    if (from != to) out.push_back(fmt::format("{}{} → {}", what, from, to));
  };
  add("", format_limit(before.plain_rates()), format_limit(after.plain_rates()));
  if (!equal_ignoring_case(before.track, after.track)) add("counts ", before.track, after.track);
  add("verdict ", verdict_word(before.verdict), verdict_word(after.verdict));
  add("", before.enabled() ? "on" : "off", after.enabled() ? "on" : "off");
  if (!has_default_texts(before) || !has_default_texts(after)) {
    add("message ", fmt::format("\"{}\"", escaped(before.rates.front().data.value_or(""))),
        fmt::format("\"{}\"", escaped(after.rates.front().data.value_or(""))));
  }
  add("name ", escaped(before.policy_name), escaped(after.policy_name));
  add("ID ", fmt::format("{}", before.id), fmt::format("{}", after.id));
  return out;
}

// The existing limit, nullptr if there is none.
Result<const StoredLimit*> find_wanted(const AllLimits& all, const WantedLimit& wanted) {
  std::vector<std::string> ids;
  const StoredLimit* stored = nullptr;
  for (const StoredLimit& limit : all.limits) {
    if (!is_for(limit, wanted)) continue;
    stored = &limit;
    ids.push_back(fmt::format("{}", limit.id));
  }
  if (ids.size() <= 1) return stored;
  return failure(
      fmt::format("{} such limits for {} exist already (IDs {}), so it is not clear which one to "
                  "change; remove all but one of them with 'carbonio-limits remove ID'",
                  ids.size(), name_of(wanted.target), join_with_and(ids)));
}

Result<void> check_groups(const Tables& tables, const WantedLimit& wanted) {
  std::vector<Target> targets = wanted.except;
  targets.push_back(wanted.target);
  for (const Target& target : targets) {
    if (target.who != Who::group) continue;
    const auto exists =
        tables.has_row("SELECT 1 FROM {p}policy_groups WHERE Name = ?", {target.name});
    if (!exists) return tl::unexpected{exists.error()};
    if (*exists) continue;
    return failure(
        fmt::format("there is no {} in table policy_groups; create it, with its members in "
                    "policy_group_members, and try again",
                    name_of(target)));
  }
  return {};
}

// Updates the exceptions according to whether the limit is enabled.
Sentences update_exceptions(ChangeSet& changes, AllLimits& all, std::int64_t id) {
  const StoredLimit& limit = *find_limit(all, id);
  if (!limit.what.target) return {};
  return limit.enabled() ? override_general(changes, all, id) : restore_general(changes, all, id);
}

// Handles the consequences of a changed limit and fills in the result.
ApplyResult finish(ChangeSet& changes, AllLimits& all, const StoredLimit& before, std::int64_t id,
                   std::size_t statements_before) {
  ApplyResult out;
  out.consequences = update_exceptions(changes, all, id);
  out.limit = *find_limit(all, id);
  out.differences = differences(before, out.limit);
  if (changes.typed().size() != statements_before) out.kind = ApplyResult::Kind::changed;
  return out;
}

Result<ApplyResult> create(ChangeSet& changes, AllLimits& all, const WantedLimit& wanted) {
  insert_limit(changes, wanted);
  read_newest(changes, all);
  if (!changes.result()) return tl::unexpected{changes.result().error()};
  const auto created = find_wanted(all, wanted);
  if (!created || *created == nullptr)
    return failure("internal error: the limit cannot be found after writing it");
  const StoredLimit limit = **created;
  update_exempt(changes, all, limit.id, wanted.except);
  ApplyResult result = finish(changes, all, limit, limit.id, changes.typed().size());
  result.kind = ApplyResult::Kind::created;
  result.differences.clear();
  return result;
}

bool enforces(const StoredLimit& limit) {
  return limit.partly_enabled() && verdict_word(limit.verdict) != "none";
}

// Enforced limits that no longer apply to the target of a limit that only monitors.
std::vector<std::int64_t> overruled_by(const AllLimits& all, const WantedLimit& wanted) {
  std::vector<std::int64_t> out;
  if (wanted.verdict || !wanted.enabled) return out;
  for (const StoredLimit& limit : all.limits) {
    const bool general = limit.what.target && limit.what.direction == wanted.direction &&
                         limit.what.per == wanted.per &&
                         covers(wanted.direction, *limit.what.target, wanted.target);
    if (general && enforces(limit)) out.push_back(limit.id);
  }
  return out;
}

// `change` writes rows of this limit's policy, and may change its Track to `track`.
template <typename Change>
Result<ApplyResult> edit(ChangeSet& changes, AllLimits& all, std::int64_t id,
                         std::string_view track, Change change) {
  const StoredLimit before = *find_limit(all, id);
  const std::size_t statements_before = changes.typed().size();
  change(before);
  if (changes.typed().size() != statements_before) reread_policy(changes, all, before.policy_id);
  if (!changes.result()) return tl::unexpected{changes.result().error()};
  // Its first quota may be deleted; then its ID is that of another one.
  const auto now = std::find_if(all.limits.begin(), all.limits.end(), [&](const auto& limit) {
    return limit.policy_id == before.policy_id &&
           (limit.track == before.track || equal_ignoring_case(limit.track, track)) &&
           (limit.id == id || find_limit(all, id) == nullptr);
  });
  if (now == all.limits.end())
    return failure("internal error: the limit cannot be found after writing it");
  return finish(changes, all, before, now->id, statements_before);
}

// `limits`: const or not. By ID they are sorted, but any quota of a limit may be given.
template <typename Limits>
auto find_in(Limits& limits, std::int64_t id) -> decltype(limits.data()) {
  const auto found =
      std::lower_bound(limits.begin(), limits.end(), id,
                       [](const auto& limit, auto value) { return limit.id < value; });
  if (found != limits.end() && found->id == id) return &*found;
  for (auto& limit : limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.quota_id == id) return &limit;
    }
  }
  return nullptr;
}

}  // namespace

StoredLimit* find_limit(AllLimits& all, std::int64_t id) { return find_in(all.limits, id); }

const StoredLimit* find_limit(const AllLimits& all, std::int64_t id) {
  return find_in(all.limits, id);
}

Result<ApplyResult> apply_limit(ChangeSet& changes, AllLimits& all, const WantedLimit& wanted) {
  if (auto checked = check_groups(changes.tables(), wanted); !checked) {
    return tl::unexpected{checked.error()};
  }
  const auto stored = find_wanted(all, wanted);
  if (!stored) return tl::unexpected{stored.error()};
  if (*stored == nullptr) {
    auto created = create(changes, all, wanted);
    if (created) created->overruled = overruled_by(all, wanted);
    return created;
  }
  const std::int64_t id = (*stored)->id;
  const std::string lost =
      !wanted.verdict && enforces(**stored) ? verdict_word((*stored)->verdict) : std::string{};
  const std::size_t statements_before = changes.typed().size();
  const DesiredRows desired = desired_rows(wanted);
  auto result = edit(changes, all, id, desired.track,
                     [&](const StoredLimit& before) { update_limit(changes, desired, before); });
  if (!result) return result;
  // After the exceptions for other limits, which explain some of them.
  update_exempt(changes, all, result->limit.id, wanted.except);
  result->limit = *find_limit(all, result->limit.id);
  if (changes.typed().size() != statements_before) result->kind = ApplyResult::Kind::changed;
  result->lost_verdict = lost;
  return result;
}

Result<ApplyResult> set_rates(ChangeSet& changes, AllLimits& all, std::int64_t id,
                              const std::vector<Rate>& rates) {
  const std::string track = find_limit(all, id)->track;
  return edit(changes, all, id, track, [&](const StoredLimit& before) {
    update_limit(changes, desired_rows(before, rates), before);
  });
}

Result<ApplyResult> switch_limit(ChangeSet& changes, AllLimits& all, std::int64_t id, bool on) {
  const StoredLimit& limit = *find_limit(all, id);
  const bool enables_policy = on && !limit.policy_enabled;
  const bool shared = shares_policy(changes, limit);
  const std::string track = limit.track;
  auto result = edit(changes, all, id, track, [&](const StoredLimit& before) {
    if (on && !before.enabled()) switch_on(changes, before);
    if (!on && before.partly_enabled()) switch_off(changes, before);
  });
  if (result && enables_policy && shared) {
    result->consequences.push_back(
        fmt::format("policy {} was switched off as a whole; its other limits and rules are "
                    "switched on again too",
                    result->limit.policy_id));
  }
  return result;
}

Result<ApplyResult> remove_limit(ChangeSet& changes, AllLimits& all, std::int64_t id) {
  ApplyResult out;
  out.kind = ApplyResult::Kind::changed;
  if (find_limit(all, id)->what.target) out.consequences = restore_general(changes, all, id);
  out.limit = *find_limit(all, id);
  delete_limit(changes, out.limit);
  if (out.limit.what.except_group) delete_unused_group(changes, *out.limit.what.except_group);
  reread_policy(changes, all, out.limit.policy_id);
  if (!changes.result()) return tl::unexpected{changes.result().error()};
  return out;
}

}  // namespace limits
