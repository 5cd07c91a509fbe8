// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/read_limits.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "daemon/names/name_form.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "daemon/rules/rules.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/rows/replacements.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;
using MembersByPolicy = std::unordered_map<std::int64_t, std::vector<StoredMember>>;
using ExceptGroups = std::unordered_map<std::string, ExceptGroup>;

Result<MembersByPolicy> read_members(const Tables& tables) {
  MembersByPolicy out;
  const auto done = tables.each(
      "SELECT PolicyID, ID, Source, Destination, Disabled IS NOT 0 FROM {p}policy_members "
      "WHERE PolicyID IN (SELECT PolicyID FROM {p}quotas) ORDER BY ID",
      {}, [&](const Statement& row) {
        out[row.integer(0)].push_back(
            {row.integer(1), {row.optional_text(2), row.optional_text(3)}, row.integer(4) == 0});
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<ExceptGroups> read_except_groups(const Tables& tables) {
  ExceptGroups out;
  const auto done = tables.each(
      "SELECT g.Name, g.Disabled IS NOT 0, g.Comment = ?, m.ID, m.Member, m.Comment = ?, "
      "m.Disabled IS NOT 0 "
      "FROM {p}policy_groups g LEFT JOIN {p}policy_group_members m ON m.PolicyGroupID = g.ID "
      "WHERE g.Name LIKE '%-except' ORDER BY m.ID",
      {std::string{kGroupComment}, std::string{kExemptComment}}, [&](const Statement& row) {
        const auto [found, is_new] = out.try_emplace(std::string{row.text(0)});
        ExceptGroup& group = found->second;
        if (is_new) {
          group.enabled = row.integer(1) == 0;
          group.ours = row.integer(2) != 0;
        }
        if (row.is_null(3)) return;  // it has no members
        if (row.integer(6) != 0) {
          group.ours = false;
        } else {
          group.items.push_back({row.integer(3), std::string{row.text(4)}, row.integer(5) != 0});
        }
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

// Only our receiving limits need the hint, and the names of their quotas give it.
Direction hint_of(std::string_view quota_name) {
  const std::string_view receive = name_of(Direction::receive);
  return quota_name.substr(0, receive.size()) == receive ? Direction::receive : Direction::send;
}

struct Read {
  AllLimits all;                 // in the order of their policies
  std::vector<Direction> hints;  // of all.limits
};

// A row of the query below; nullopt if it is not a limit.
std::optional<StoredRate> rate_of(const Statement& row) {
  StoredRate rate;
  rate.quota_id = row.integer(1);
  rate.limit_id = row.integer(8);
  rate.rate.amount = row.integer(10);
  rate.data = row.optional_text(5);
  rate.enabled = row.integer(6) == 0 && row.integer(11) == 0;
  rate.comment = row.text(14);
  const auto type = policyd::parse_limit_type(row.text(9));
  if (!type || rate.rate.amount <= 0) return std::nullopt;
  rate.rate.unit = unit_of(*type);
  if (is_of_each_message(rate.rate.unit)) return rate;  // whatever the Period
  rate.rate.period = std::chrono::seconds{row.integer(3)};
  if (rate.rate.period.count() <= 0) return std::nullopt;
  return rate;
}

StoredLimit limit_of(const Statement& row, const MembersByPolicy& members) {
  StoredLimit limit;
  limit.id = row.integer(1);
  limit.policy_id = row.integer(0);
  limit.policy_name = std::string{row.text(12)};
  limit.policy_enabled = row.integer(13) == 0;
  limit.track = std::string{row.text(2)};
  limit.verdict = row.optional_text(4);
  if (const auto found = members.find(limit.policy_id); found != members.end()) {
    limit.members = found->second;
  }
  return limit;
}

Result<Read> read_rows(const Tables& tables, const MembersByPolicy& members) {
  Read out;
  std::vector<StoredLimit>& limits = out.all.limits;
  std::unordered_map<std::int64_t, int> rows_of_quota;
  std::size_t first_of_policy = 0;
  const auto take = [&](const Statement& row) {
    ++rows_of_quota[row.integer(1)];
    auto rate = rate_of(row);
    if (!rate) {
      auto& unreadable = out.all.unreadable;
      if (unreadable.empty() || unreadable.back() != row.integer(1)) {
        unreadable.push_back(row.integer(1));
      }
      return;
    }
    if (!limits.empty() && limits.back().policy_id != row.integer(0)) {
      first_of_policy = limits.size();
    }
    auto limit = std::find_if(limits.begin() + static_cast<std::ptrdiff_t>(first_of_policy),
                              limits.end(), [&](const StoredLimit& known) {
                                return equal_ignoring_case(known.track, row.text(2)) &&
                                       equal_ignoring_case(known.verdict.value_or(""), row.text(4));
                              });
    if (limit == limits.end()) {
      out.hints.push_back(hint_of(row.text(7)));
      limit = limits.insert(limits.end(), limit_of(row, members));
    }
    limit->rates.push_back(std::move(*rate));
  };
  const auto done = tables.each(
      "SELECT q.PolicyID, q.ID, q.Track, q.Period, q.Verdict, q.Data, q.Disabled IS NOT 0, q.Name, "
      "l.ID, l.Type, l.CounterLimit, l.Disabled IS NOT 0, p.Name, p.Disabled IS NOT 0, "
      "q.Comment FROM {p}quotas q JOIN {p}policies p ON p.ID = q.PolicyID "
      "LEFT JOIN {p}quotas_limits l ON l.QuotasID = q.ID ORDER BY q.PolicyID, q.ID, l.ID",
      {}, take);
  if (!done) return tl::unexpected{done.error()};
  for (StoredLimit& limit : limits) {
    for (StoredRate& rate : limit.rates) rate.alone = rows_of_quota[rate.quota_id] == 1;
  }
  return out;
}

Result<OwnDomains> read_own_domains(const Tables& tables) {
  OwnDomains out;
  const auto done = tables.each(
      "SELECT m.Member FROM {p}policy_group_members m JOIN {p}policy_groups g ON g.ID = "
      "m.PolicyGroupID WHERE g.Name = 'internal_domains' AND m.Disabled IS 0",
      {}, [&](const Statement& row) { out.insert(policyd::address_form(row.text(0))); });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

// Whether they are those of accounts in the group. (Earlier versions named none.)
bool senders_follow(const Recognised& what, const ExceptGroup* group) {
  if (what.except_senders.empty()) return true;
  std::unordered_set<std::string> senders;
  if (group != nullptr) {
    for (const ExceptGroup::Item& item : group->items) {
      if (auto sender = sender_of(item.text)) senders.insert(std::move(*sender));
    }
  }
  return std::all_of(what.except_senders.begin(), what.except_senders.end(),
                     [&](const std::string& sender) { return senders.contains(sender); });
}

void complete(StoredLimit& limit, Direction hint, const ExceptGroups& groups,
              const OwnDomains& own) {
  std::stable_sort(limit.rates.begin(), limit.rates.end(), [](const auto& a, const auto& b) {
    return a.rate.period != b.rate.period ? a.rate.period < b.rate.period
                                          : a.rate.unit < b.rate.unit;
  });
  limit.what = recognise(limit.member_texts(), limit.track, hint, own);
  const auto found = groups.find(limit.what.except_group.value_or(""));
  if (!senders_follow(limit.what, found == groups.end() ? nullptr : &found->second)) {
    limit.what.target.reset();
    limit.what.except_group.reset();
  }
  if (!limit.what.except_group || found == groups.end() || !found->second.enabled) return;
  for (const ExceptGroup::Item& item : found->second.items) limit.except.push_back(item.text);
}

// Exempt are those that the admin marked so, and those that no other limit explains.
void find_exempt(AllLimits& all) {
  std::vector<const StoredLimit*> limits;
  limits.reserve(all.limits.size());
  for (const StoredLimit& limit : all.limits) limits.push_back(&limit);
  std::unordered_map<std::size_t, std::unordered_set<std::string>> explained;
  each_pair(limits, [&](std::size_t general, std::size_t special) {
    if (limits[general]->except.empty() || !replaces(*limits[general], *limits[special])) return;
    explained[general].insert(lower_cased(item_of(*limits[special]->what.target)));
  });
  for (std::size_t i = 0; i < all.limits.size(); ++i) {
    StoredLimit& limit = all.limits[i];
    limit.exempt.clear();
    if (limit.except.empty()) continue;
    const auto& others = explained[i];
    for (const ExceptGroup::Item& item : all.except_groups[*limit.what.except_group].items) {
      if (item.exempt || !others.contains(lower_cased(item.text))) {
        limit.exempt.push_back(item.text);
      }
    }
    std::sort(limit.exempt.begin(), limit.exempt.end());
  }
}

void find_twins(AllLimits& all) {
  std::unordered_map<std::string, std::array<int, kUnits>> counts;
  std::vector<std::string> keys;
  keys.reserve(all.limits.size());
  for (const StoredLimit& limit : all.limits) {
    keys.push_back(key_of(limit));
    auto& count = counts[keys.back()];
    const Units units = units_of(limit);
    for (std::size_t unit = 0; unit < kUnits; ++unit) count.at(unit) += units.of.test(unit) ? 1 : 0;
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Units units = units_of(all.limits[i]);
    const auto& count = counts[keys[i]];
    all.limits[i].has_twin = false;
    for (std::size_t unit = 0; unit < kUnits && !keys[i].empty(); ++unit) {
      if (units.of.test(unit) && count.at(unit) > 1) all.limits[i].has_twin = true;
    }
  }
}

// The group with the fault because of which the list matches nothing.
std::optional<std::string> failing_group(const std::optional<std::string>& list, policyd::Side side,
                                         const policyd::BrokenGroups& broken) {
  if (policyd::matches_everything(list)) return std::nullopt;
  for (const std::string_view text : policyd::list_items(*list)) {
    const policyd::ListItem item = policyd::parse_item(text, side);
    const auto found =
        item.kind == policyd::ItemKind::group ? broken.find(item.text) : broken.end();
    if (found == broken.end() || !(item.negated || found->second.matches_nothing)) continue;
    return found->second.group;
  }
  return std::nullopt;
}

void find_broken(AllLimits& all) {
  const GroupFaults& faults = all.faults;
  for (StoredLimit& limit : all.limits) {
    limit.broken_group.clear();
    if (faults.sources.empty() && faults.destinations.empty()) continue;
    for (const MemberText& member : limit.member_texts()) {
      auto group = failing_group(member.source, policyd::Side::source, faults.sources);
      if (!group) {
        group = failing_group(member.destination, policyd::Side::destination, faults.destinations);
      }
      limit.broken_group = group.value_or("");
      if (!group) break;  // this member matches
    }
  }
}

}  // namespace

Result<AllLimits> read_limits(const Tables& tables) {
  auto groups = read_except_groups(tables);
  if (!groups) return tl::unexpected{groups.error()};
  const auto members = read_members(tables);
  if (!members) return tl::unexpected{members.error()};
  const auto own = read_own_domains(tables);
  if (!own) return tl::unexpected{own.error()};
  auto all_groups = read_groups(tables);
  if (!all_groups) return tl::unexpected{all_groups.error()};
  auto out = read_rows(tables, *members);
  if (!out) return tl::unexpected{out.error()};
  for (std::size_t i = 0; i < out->hints.size(); ++i) {
    complete(out->all.limits[i], out->hints[i], *groups, *own);
  }
  out->all.except_groups = std::move(*groups);
  out->all.groups = std::move(*all_groups);
  out->all.faults = faults_of(out->all.groups);
  std::sort(out->all.limits.begin(), out->all.limits.end(),
            [](const StoredLimit& a, const StoredLimit& b) { return a.id < b.id; });
  relate(out->all);
  return std::move(out->all);
}

void relate(AllLimits& all) {
  find_exempt(all);
  find_twins(all);
  find_broken(all);
}

const StoredLimit* find_limit(const AllLimits& all, std::int64_t id) {
  const auto found =
      std::lower_bound(all.limits.begin(), all.limits.end(), id,
                       [](const auto& limit, auto value) { return limit.id < value; });
  if (found != all.limits.end() && found->id == id) return &*found;
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) {
      if (rate.quota_id == id) return &limit;
    }
  }
  return nullptr;
}

}  // namespace limits
