// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/read_limits.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "plugin/limit/recognise.hpp"
#include "plugin/rows/overrides.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;
using MembersByPolicy = std::unordered_map<std::int64_t, std::vector<StoredMember>>;
struct Excepted {
  std::vector<std::string> items;
  std::vector<std::string> exempt;
};
using MembersByGroup = std::unordered_map<std::string, Excepted>;

std::vector<Value> values_of(std::optional<std::int64_t> policy) {
  return policy ? std::vector<Value>{*policy} : std::vector<Value>{};
}

// `policy`: a single one; nullopt: all that have quotas.
Result<MembersByPolicy> read_members(const Tables& tables, std::optional<std::int64_t> policy) {
  MembersByPolicy out;
  const auto done = tables.each(
      fmt::format("SELECT PolicyID, ID, Source, Destination, Disabled FROM {{p}}policy_members "
                  "WHERE PolicyID {} ORDER BY ID",
                  policy ? "= ?" : "IN (SELECT PolicyID FROM {p}quotas)"),
      values_of(policy), [&](const Statement& row) {
        out[row.integer(0)].push_back(
            {row.integer(1), {row.optional_text(2), row.optional_text(3)}, row.integer(4) == 0});
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

Result<MembersByGroup> read_except_groups(const Tables& tables) {
  MembersByGroup out;
  const auto done = tables.each(
      "SELECT g.Name, m.Member, m.Comment = ? FROM {p}policy_groups g "
      "JOIN {p}policy_group_members m ON m.PolicyGroupID = g.ID "
      "WHERE g.Name LIKE '%-except' AND g.Disabled = 0 AND m.Disabled = 0 ORDER BY m.ID",
      {std::string{kExemptComment}}, [&](const Statement& row) {
        Excepted& group = out[std::string{row.text(0)}];
        group.items.emplace_back(row.text(1));
        if (row.integer(2) != 0) group.exempt.emplace_back(row.text(1));
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
  rate.rate.period = std::chrono::seconds{row.integer(3)};
  rate.rate.amount = row.integer(10);
  rate.data = row.optional_text(5);
  rate.enabled = row.integer(6) == 0 && row.integer(11) == 0;
  const bool sizes = equal_ignoring_case(row.text(9), "MessageCumulativeSize");
  rate.rate.unit = sizes ? Unit::kib : Unit::messages;
  if ((!sizes && !equal_ignoring_case(row.text(9), "MessageCount")) || rate.rate.amount <= 0 ||
      rate.rate.period.count() <= 0) {
    return std::nullopt;
  }
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

Result<Read> read_rows(const Tables& tables, const MembersByPolicy& members,
                       std::optional<std::int64_t> policy) {
  Read out;
  std::vector<StoredLimit>& limits = out.all.limits;
  std::size_t first_of_policy = 0;
  const auto take = [&](const Statement& row) {
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
      fmt::format(
          "SELECT q.PolicyID, q.ID, q.Track, q.Period, q.Verdict, q.Data, q.Disabled, q.Name, "
          "l.ID, l.Type, l.CounterLimit, l.Disabled, p.Name, p.Disabled "
          "FROM {{p}}quotas q JOIN {{p}}policies p ON p.ID = q.PolicyID "
          "LEFT JOIN {{p}}quotas_limits l ON l.QuotasID = q.ID {} ORDER BY q.PolicyID, q.ID, l.ID",
          policy ? "WHERE q.PolicyID = ?" : ""),
      values_of(policy), take);
  if (!done) return tl::unexpected{done.error()};
  return out;
}

void complete(StoredLimit& limit, Direction hint, const MembersByGroup& groups) {
  for (StoredRate& rate : limit.rates) {
    rate.alone = std::count_if(limit.rates.begin(), limit.rates.end(), [&](const auto& other) {
                   return other.quota_id == rate.quota_id;
                 }) == 1;
  }
  std::stable_sort(limit.rates.begin(), limit.rates.end(), [](const auto& a, const auto& b) {
    return a.rate.period != b.rate.period ? a.rate.period < b.rate.period
                                          : a.rate.unit < b.rate.unit;
  });
  limit.what = recognise(limit.member_texts(), limit.track, hint);
  if (!limit.what.except_group) return;
  const auto found = groups.find(*limit.what.except_group);
  if (found == groups.end()) return;
  limit.except = found->second.items;
  limit.exempt = found->second.exempt;
}

Result<AllLimits> read(const Tables& tables, std::optional<std::int64_t> policy,
                       const MembersByGroup& groups) {
  const auto members = read_members(tables, policy);
  if (!members) return tl::unexpected{members.error()};
  auto out = read_rows(tables, *members, policy);
  if (!out) return tl::unexpected{out.error()};
  for (std::size_t i = 0; i < out->hints.size(); ++i) {
    complete(out->all.limits[i], out->hints[i], groups);
  }
  std::sort(out->all.limits.begin(), out->all.limits.end(),
            [](const StoredLimit& a, const StoredLimit& b) { return a.id < b.id; });
  return std::move(out->all);
}

}  // namespace

Result<AllLimits> read_limits(const Tables& tables) {
  const auto groups = read_except_groups(tables);
  if (!groups) return tl::unexpected{groups.error()};
  return read(tables, std::nullopt, *groups);
}

void reread_policy(ChangeSet& changes, AllLimits& all, std::int64_t policy_id) {
  MembersByGroup groups;
  const auto of_policy = [&](const StoredLimit& limit) { return limit.policy_id == policy_id; };
  for (const StoredLimit& limit : all.limits) {
    if (of_policy(limit) && limit.what.except_group) {
      groups[*limit.what.except_group] = Excepted{limit.except, limit.exempt};
    }
  }
  auto fresh = read(changes.tables(), policy_id, groups);
  if (!fresh) return changes.fail(fresh.error());
  auto& limits = all.limits;
  limits.erase(std::remove_if(limits.begin(), limits.end(), of_policy), limits.end());
  for (StoredLimit& limit : fresh->limits) {
    const auto before = std::find_if(limits.rbegin(), limits.rend(),
                                     [&](const auto& known) { return known.id < limit.id; });
    limits.insert(before.base(), std::move(limit));
  }
}

void read_newest(ChangeSet& changes, AllLimits& all) {
  std::int64_t policy = 0;
  const auto done = changes.tables().each("SELECT max(ID) FROM {p}policies", {},
                                          [&](const Statement& row) { policy = row.integer(0); });
  if (!done) return changes.fail(done.error());
  reread_policy(changes, all, policy);
}

}  // namespace limits
