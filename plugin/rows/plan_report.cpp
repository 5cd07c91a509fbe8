// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/plan_report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "plugin/rows/limit_rows.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

std::string exempt_text(const StoredLimit& limit) {
  std::vector<std::string> items;
  for (const std::string& item : limit.exempt) items.push_back(escaped(item));
  return items.empty() ? "no one" : join_with_and(items);
}

std::vector<std::string> differences(const StoredLimit& before, const StoredLimit& after) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view what, const std::string& from, const std::string& to) {
    if (from != to) out.push_back(fmt::format("{}{} → {}", what, from, to));
  };
  add("", format_limit(before.plain_rates()), format_limit(after.plain_rates()));
  if (before.what.per != after.what.per) {
    add("per ", per_word(before), per_word(after));
  } else if (!equal_ignoring_case(before.track, after.track)) {
    add("counts ", before.track, after.track);
  }
  add("verdict ", verdict_word(before.verdict), verdict_word(after.verdict));
  add("", before.enabled() ? "on" : "off", after.enabled() ? "on" : "off");
  if (!has_default_texts(before) || !has_default_texts(after)) {
    add("message ", fmt::format("\"{}\"", escaped(before.rates.front().data.value_or(""))),
        fmt::format("\"{}\"", escaped(after.rates.front().data.value_or(""))));
  }
  const auto steps = [](const StoredLimit& limit) {
    return limit.then().empty() ? "nothing" : escaped(limit.then());
  };
  add("then ", steps(before), steps(after));
  add("name ", escaped(before.policy_name), escaped(after.policy_name));
  if (before.exempt != after.exempt) add("except ", exempt_text(before), exempt_text(after));
  return out;
}

std::string limit_in_words(const StoredLimit& limit) {
  return fmt::format("limit {} ({} for {})", limit.id, format_limit(limit.plain_rates()),
                     name_of(*limit.what.target));
}

// Whether `other` says something about the same period, or lets no more through in it: a period has
// room for so many of the other's.
bool stands_for(const Rate& other, const Rate& rate) {
  if (other.unit != rate.unit) return false;
  if (other.period == rate.period) return true;  // of messages it is 0
  const std::int64_t times = (rate.period + other.period - std::chrono::seconds{1}) / other.period;
  return other.amount * times <= rate.amount;
}

std::vector<Rate> missing_in(const std::vector<Rate>& others, const std::vector<Rate>& rates) {
  std::vector<Rate> out;
  std::copy_if(rates.begin(), rates.end(), std::back_inserter(out), [&](const Rate& rate) {
    return std::none_of(others.begin(), others.end(),
                        [&](const Rate& other) { return stands_for(other, rate); });
  });
  return out;
}

void add_loss(ApplyResult& result, const StoredLimit& of, bool replaced) {
  auto rates = missing_in(result.limit.plain_rates(), of.plain_rates());
  if (rates.empty()) return;
  result.losses.push_back({of.id, std::move(rates), replaced, target_text(of)});
}

}  // namespace

AllLimits limits_after(const std::vector<PlanEntry>& entries, const AllLimits& before,
                       ExceptGroups except_groups, std::vector<policyd::GroupRow> groups) {
  AllLimits out;
  out.unreadable = before.unreadable;
  out.except_groups = std::move(except_groups);
  out.groups = std::move(groups);
  out.faults = faults_of(out.groups);
  out.limits.reserve(entries.size());
  for (const PlanEntry& entry : entries) {
    if (!entry.gone) out.limits.push_back(entry.now);
  }
  std::sort(out.limits.begin(), out.limits.end(),
            [](const StoredLimit& a, const StoredLimit& b) { return a.id < b.id; });
  relate(out);
  return out;
}

ApplyResult result_of(const PlanEntry& entry, const AllLimits& after) {
  ApplyResult out;
  if (entry.before != nullptr) out.before = *entry.before;
  if (entry.gone) {
    out.kind = ApplyResult::Kind::changed;
    out.limit = *entry.before;
    return out;
  }
  out.limit = *find_limit(after, entry.now.id);
  if (entry.before == nullptr) {
    out.kind = ApplyResult::Kind::created;
    return out;
  }
  out.differences = differences(*entry.before, out.limit);
  if (entry.changed || !out.differences.empty()) out.kind = ApplyResult::Kind::changed;
  add_loss(out, *entry.before, false);
  return out;
}

void report_exceptions(const std::vector<PlanEntry>& entries, const Exceptions& exceptions,
                       const std::vector<std::size_t>& operations,
                       std::vector<ApplyResult>& results) {
  std::unordered_map<std::size_t, std::size_t> result_of_entry;
  for (std::size_t i = 0; i < operations.size(); ++i) result_of_entry[operations[i]] = i;
  for (const ExceptionChange& change : exceptions.changes) {
    auto found = change.special ? result_of_entry.find(*change.special) : result_of_entry.end();
    const bool by_special = found != result_of_entry.end();
    if (!by_special) found = result_of_entry.find(change.general);
    if (found == result_of_entry.end()) continue;
    ApplyResult& result = results[found->second];
    if (result.kind == ApplyResult::Kind::unchanged) result.kind = ApplyResult::Kind::changed;
    if (!change.special) continue;
    const StoredLimit& general = entries[change.general].now;
    const StoredLimit& special = entries[*change.special].now;
    const std::string who = name_of(*special.what.target);
    if (!change.added) {
      result.consequences.push_back(
          fmt::format("{} applies to {} again", limit_in_words(general), who));
      continue;
    }
    result.consequences.push_back(fmt::format("{} no longer applies to {}; limit {} does",
                                              limit_in_words(general), who, special.id));
    if (by_special && general.enabled()) add_loss(result, general, true);
  }
}

}  // namespace limits
