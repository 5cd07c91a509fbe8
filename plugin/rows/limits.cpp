// SPDX-License-Identifier: AGPL-3.0-only
// The changing half of limits.hpp.
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
  add("number ", fmt::format("{}", before.id), fmt::format("{}", after.id));
  return out;
}

bool is_wanted(const StoredLimit& limit, const WantedLimit& wanted) {
  return limit.what.target == wanted.target && limit.what.direction == wanted.direction &&
         limit.what.per == wanted.per;
}

// The one there is, nullptr for none.
Result<const StoredLimit*> find_wanted(const AllLimits& all, const WantedLimit& wanted) {
  std::vector<std::string> ids;
  const StoredLimit* stored = nullptr;
  for (const StoredLimit& limit : all.limits) {
    if (!is_wanted(limit, wanted)) continue;
    stored = &limit;
    ids.push_back(fmt::format("{}", limit.id));
  }
  if (ids.size() <= 1) return stored;
  return failure(
      fmt::format("there are {} such limits for {} already (numbers {}), made by hand, so it is "
                  "not clear which to change; remove all but one of them with 'carbonio-limits "
                  "remove ID'",
                  ids.size(), name_of(wanted.target), join_with_and(ids)));
}

Result<void> check_groups(const Tables& tables, const WantedLimit& wanted) {
  std::vector<Target> targets = wanted.except;
  targets.push_back(wanted.target);
  for (const Target& target : targets) {
    if (target.who != Who::group) continue;
    auto rows = tables.prepare("SELECT 1 FROM {p}policy_groups WHERE Name = ?");
    if (!rows) return tl::unexpected{rows.error()};
    const int code = rows->bind(1, std::string_view{target.name}).step();
    if (code == SQLITE_ROW) continue;
    if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
    return failure(
        fmt::format("there is no {} in the table policy_groups; make it, with its "
                    "members in policy_group_members, and try again",
                    name_of(target)));
  }
  return {};
}

// Exceptions follow what is in force.
Result<std::vector<std::string>> settle(Changes& changes, AllLimits& all, std::int64_t id) {
  const StoredLimit& limit = *find_limit(all, id);
  if (!limit.what.target) return std::vector<std::string>{};
  return limit.enabled() ? replace_general_ones(changes, all, id) : give_back(changes, all, id);
}

// What follows from a changed limit, and what is to be said about it.
Result<Put> finish(Changes& changes, AllLimits& all, const StoredLimit& before, std::int64_t id,
                   std::size_t statements_before) {
  auto consequences = settle(changes, all, id);
  if (!consequences) return tl::unexpected{consequences.error()};
  Put out;
  out.limit = *find_limit(all, id);
  out.consequences = std::move(*consequences);
  out.differences = differences(before, out.limit);
  if (changes.typed().size() != statements_before) out.kind = Put::Kind::changed;
  return out;
}

Result<Put> make(Changes& changes, AllLimits& all, const WantedLimit& wanted) {
  auto done = insert_limit(changes, wanted);
  if (done) done = read_newest(changes.tables(), all);
  if (!done) return tl::unexpected{done.error()};
  const auto made = find_wanted(all, wanted);
  if (!made || *made == nullptr) return failure("the limit cannot be found after writing it");
  const StoredLimit limit = **made;
  done = bring_exempt(changes, all, limit.id, wanted.except);
  if (!done) return tl::unexpected{done.error()};
  auto put = finish(changes, all, limit, limit.id, changes.typed().size());
  if (!put) return put;
  put->kind = Put::Kind::made;
  put->differences.clear();
  return put;
}

bool bites(const StoredLimit& limit) {
  return limit.partly_enabled() && verdict_word(limit.verdict) != "none";
}

// Limits that bite, and no longer the target of one that only watches.
std::vector<std::int64_t> overruled_by(const AllLimits& all, const WantedLimit& wanted) {
  std::vector<std::int64_t> out;
  if (wanted.verdict || !wanted.enabled) return out;
  for (const StoredLimit& limit : all.limits) {
    const bool general = limit.what.target && limit.what.direction == wanted.direction &&
                         limit.what.per == wanted.per &&
                         covers(wanted.direction, *limit.what.target, wanted.target);
    if (general && bites(limit)) out.push_back(limit.id);
  }
  return out;
}

// `change` writes rows of this limit's policy, and may bring its Track to `track`.
template <typename Change>
Result<Put> edit(Changes& changes, AllLimits& all, std::int64_t id, std::string_view track,
                 Change change) {
  const StoredLimit before = *find_limit(all, id);
  const std::size_t statements_before = changes.typed().size();
  auto done = change(before);
  if (done && changes.typed().size() != statements_before) {
    done = read_again(changes.tables(), all, before.policy_id);
  }
  if (!done) return tl::unexpected{done.error()};
  // Its first quota may be gone; then the number is that of another one.
  const auto now = std::find_if(all.limits.begin(), all.limits.end(), [&](const auto& limit) {
    return limit.policy_id == before.policy_id &&
           (limit.track == before.track || equal_ignoring_case(limit.track, track)) &&
           (limit.id == id || find_limit(all, id) == nullptr);
  });
  if (now == all.limits.end()) return failure("the limit cannot be found after writing it");
  return finish(changes, all, before, now->id, statements_before);
}

}  // namespace

StoredLimit* find_limit(AllLimits& all, std::int64_t id) {
  return const_cast<StoredLimit*>(find_limit(std::as_const(all), id));
}

const StoredLimit* find_limit(const AllLimits& all, std::int64_t id) {
  const auto place =
      std::lower_bound(all.limits.begin(), all.limits.end(), id,
                       [](const auto& limit, auto value) { return limit.id < value; });
  if (place != all.limits.end() && place->id == id) return &*place;
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.quota_id == id) return &limit;
    }
  }
  return nullptr;
}

Result<Put> put_limit(Changes& changes, AllLimits& all, const WantedLimit& wanted) {
  if (auto fine = check_groups(changes.tables(), wanted); !fine) {
    return tl::unexpected{fine.error()};
  }
  const auto stored = find_wanted(all, wanted);
  if (!stored) return tl::unexpected{stored.error()};
  if (*stored == nullptr) {
    auto made = make(changes, all, wanted);
    if (made) made->overruled = overruled_by(all, wanted);
    return made;
  }
  const std::int64_t id = (*stored)->id;
  const std::string lost =
      !wanted.verdict && bites(**stored) ? verdict_word((*stored)->verdict) : std::string{};
  const std::size_t statements_before = changes.typed().size();
  const Wish wish = wish_of(wanted);
  auto put = edit(changes, all, id, wish.track,
                  [&](const StoredLimit& before) { return bring_limit(changes, wish, before); });
  if (!put) return put;
  // Behind the others' exceptions, which explain some.
  auto done = bring_exempt(changes, all, put->limit.id, wanted.except);
  if (!done) return tl::unexpected{done.error()};
  put->limit = *find_limit(all, put->limit.id);
  if (changes.typed().size() != statements_before) put->kind = Put::Kind::changed;
  put->lost_verdict = lost;
  return put;
}

Result<Put> set_rates(Changes& changes, AllLimits& all, std::int64_t id,
                      const std::vector<Rate>& rates) {
  const std::string track = find_limit(all, id)->track;
  return edit(changes, all, id, track, [&](const StoredLimit& before) {
    return bring_limit(changes, wish_of(before, rates), before);
  });
}

Result<Put> switch_limit(Changes& changes, AllLimits& all, std::int64_t id, bool on) {
  const StoredLimit& limit = *find_limit(all, id);
  const bool wakes_policy = on && !limit.policy_enabled;
  const auto company = has_company(changes.tables(), limit);
  if (!company) return tl::unexpected{company.error()};
  const std::string track = limit.track;
  auto put = edit(changes, all, id, track, [&](const StoredLimit& before) -> Result<void> {
    if (on) return before.enabled() ? Result<void>{} : switch_on(changes, before);
    return before.partly_enabled() ? switch_off(changes, before) : Result<void>{};
  });
  if (put && wakes_policy && *company) {
    put->consequences.push_back(fmt::format(
        "policy {} was switched off as a whole; what else is on it is in force again too",
        put->limit.policy_id));
  }
  return put;
}

Result<Put> remove_limit(Changes& changes, AllLimits& all, std::int64_t id) {
  Put out;
  out.kind = Put::Kind::changed;
  if (find_limit(all, id)->what.target) {
    auto consequences = give_back(changes, all, id);
    if (!consequences) return tl::unexpected{consequences.error()};
    out.consequences = std::move(*consequences);
  }
  out.limit = *find_limit(all, id);
  auto done = delete_limit(changes, out.limit);
  if (done && out.limit.what.except_group) {
    done = delete_unused_group(changes, *out.limit.what.except_group);
  }
  if (done) done = read_again(changes.tables(), all, out.limit.policy_id);
  if (!done) return tl::unexpected{done.error()};
  return out;
}

}  // namespace limits
