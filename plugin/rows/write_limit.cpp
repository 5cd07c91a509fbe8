// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/write_limit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "daemon/config/module_table.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// As in the article. All matching policies apply, so the order only decides which answer is given,
// and whether a LastQuota of another policy comes first.
constexpr std::int64_t kPriority = 0;

std::string type_of(Unit unit) {
  return unit == Unit::messages ? "MessageCount" : "MessageCumulativeSize";
}

std::string quota_name(const DesiredRows& desired) {
  const Recognised what = recognise({}, desired.track, Direction::send);
  if (!what.direction || !what.per) return desired.track;
  return fmt::format("{} per {}", name_of(*what.direction), name_of(*what.per));
}

// `policy`: an ID, or none for the policy inserted last.
void insert_quota(ChangeSet& changes, const DesiredRows& desired, const std::string& name,
                  const Rate& rate, std::optional<std::int64_t> policy) {
  std::vector<Value> values;
  if (policy) values.emplace_back(*policy);
  for (Value value : {Value{name}, Value{desired.track}, Value{std::int64_t{rate.period.count()}},
                      ChangeSet::value_of(desired.verdict), ChangeSet::value_of(desired.text(rate)),
                      Value{std::int64_t{desired.enabled.value_or(true) ? 0 : 1}}}) {
    values.push_back(std::move(value));
  }
  changes.run(fmt::format("INSERT INTO {{p}}quotas (PolicyID, Name, Track, Period, Verdict, Data, "
                          "Disabled) VALUES ({}, ?, ?, ?, ?, ?, ?)",
                          policy ? "?" : "(SELECT max(ID) FROM {p}policies)"),
              values);
  changes.run(
      "INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) "
      "VALUES ((SELECT max(ID) FROM {p}quotas), ?, ?)",
      {type_of(rate.unit), rate.amount});
}

// Assigns stored rows to the wanted rates. A row whose period is still wanted keeps it, and so its
// counters; other rows get another period; the rest is inserted or deleted.
std::vector<const StoredRate*> assign(const std::vector<Rate>& wanted, const StoredLimit& stored) {
  std::vector<const StoredRate*> out(wanted.size(), nullptr);
  const auto taken = [&](const StoredRate& row) {
    return std::find(out.begin(), out.end(), &row) != out.end();
  };
  const auto fill = [&](auto&& fits) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      for (const StoredRate& row : stored.rates) {
        if (out[i] == nullptr && !taken(row) && fits(row, wanted[i])) out[i] = &row;
      }
    }
  };
  fill([](const StoredRate& row, const Rate& rate) {
    return row.rate.unit == rate.unit && row.rate.period == rate.period;
  });
  fill([](const StoredRate& row, const Rate& rate) {
    return row.alone && row.rate.unit == rate.unit;
  });
  fill([](const StoredRate& row, const Rate&) { return row.alone; });
  return out;
}

// Deletes a row of quotas_limits and its counters.
void delete_limit_row(ChangeSet& changes, std::int64_t limit_id) {
  changes.run("DELETE FROM {p}quotas_limits WHERE ID = ?", {limit_id});
  changes.run("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ?", {limit_id});
}

void delete_row(ChangeSet& changes, const StoredRate& row) {
  delete_limit_row(changes, row.limit_id);
  changes.run(
      "DELETE FROM {p}quotas WHERE ID = ? "
      "AND NOT EXISTS (SELECT 1 FROM {p}quotas_limits WHERE QuotasID = {p}quotas.ID)",
      {row.quota_id});
}

// `first`: false for all but the first row of a quota that has several; the first decides.
void update_row(ChangeSet& changes, const DesiredRows& desired, const Rate& rate,
                const StoredRate& row, const std::optional<std::string>& verdict, bool first) {
  const auto text = desired.text(rate);
  const bool verdict_differs =
      !equal_ignoring_case(verdict.value_or(""), desired.verdict.value_or(""));
  if (first && (verdict_differs || !same_text(row.data, text) || row.rate.period != rate.period)) {
    changes.run("UPDATE {p}quotas SET Period = ?, Verdict = ?, Data = ? WHERE ID = ?",
                {std::int64_t{rate.period.count()}, ChangeSet::value_of(desired.verdict),
                 ChangeSet::value_of(text), row.quota_id});
  }
  if (row.rate.unit != rate.unit) {
    // A new row, because the counters of the old one are in a different unit.
    delete_limit_row(changes, row.limit_id);
    changes.run("INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) VALUES (?, ?, ?)",
                {row.quota_id, type_of(rate.unit), rate.amount});
  } else if (row.rate.amount != rate.amount) {
    changes.run("UPDATE {p}quotas_limits SET CounterLimit = ? WHERE ID = ?",
                {rate.amount, row.limit_id});
  }
}

void delete_policy(ChangeSet& changes, const StoredLimit& stored) {
  changes.run("DELETE FROM {p}policy_members WHERE PolicyID = ?", {stored.policy_id});
  changes.run("DELETE FROM {p}policies WHERE ID = ?", {stored.policy_id});
}

std::set<std::int64_t> quotas_of(const StoredLimit& limit) {
  std::set<std::int64_t> out;
  for (const StoredRate& rate : limit.rates) out.insert(rate.quota_id);
  return out;
}

// The counters of single IPv4 addresses are kept, under the keys of the new Track.
void update_track(ChangeSet& changes, const std::string& track, const StoredLimit& stored) {
  if (!joins_v6_clients(stored.track, stored.what.target) ||
      equal_ignoring_case(stored.track, track)) {
    return;
  }
  for (const std::int64_t quota : quotas_of(stored)) {
    changes.run("UPDATE {p}quotas SET Track = ? WHERE ID = ?", {track, quota});
  }
  for (const StoredRate& row : stored.rates) {
    changes.run(
        "UPDATE OR REPLACE {p}quotas_tracking SET TrackKey = replace(TrackKey, '/32', '/128') "
        "WHERE QuotasLimitsID = ? AND TrackKey LIKE 'SenderIP:%.%/32'",
        {row.limit_id});
    changes.run(
        "DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND TrackKey LIKE "
        "'SenderIP:%/32'",
        {row.limit_id});
  }
}

}  // namespace

bool same_text(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  return a.value_or("") == b.value_or("");
}

bool has_default_texts(const StoredLimit& limit) {
  if (!limit.what.direction) return false;
  const auto verdict = policyd::parse_action(limit.verdict.value_or(""));
  return std::all_of(limit.rates.begin(), limit.rates.end(), [&](const StoredRate& row) {
    return same_text(row.data, message_for(*limit.what.direction, row.rate, verdict));
  });
}

DesiredRows desired_rows(const WantedLimit& wanted) {
  const auto text = [wanted](const Rate& rate) -> std::optional<std::string> {
    if (!wanted.verdict || !wanted.message) {
      return message_for(wanted.direction, rate, wanted.verdict);
    }
    return wanted.message->empty() ? std::nullopt : wanted.message;
  };
  return DesiredRows{wanted.rates,
                     track_of(wanted.direction, wanted.per).value_or(std::string{}),
                     verdict_text(wanted.verdict),
                     text,
                     wanted.name,
                     wanted.enabled};
}

DesiredRows desired_rows(const StoredLimit& stored, std::vector<Rate> rates) {
  const auto verdict = policyd::parse_action(stored.verdict.value_or(""));
  const bool defaults = has_default_texts(stored);
  const auto text = [&stored, verdict, defaults](const Rate& rate) -> std::optional<std::string> {
    if (defaults) return message_for(*stored.what.direction, rate, verdict);
    for (const StoredRate& row : stored.rates) {
      if (row.rate.period == rate.period && row.rate.unit == rate.unit) return row.data;
    }
    return stored.rates.front().data;
  };
  return DesiredRows{std::move(rates), stored.track, stored.verdict, text,
                     std::nullopt,     std::nullopt};
}

void insert_limit(ChangeSet& changes, const WantedLimit& wanted) {
  changes.run("INSERT INTO {p}policies (Name, Priority, Description) VALUES (?, ?, ?)",
              {wanted.name.value_or(default_name(wanted.direction, wanted.target, wanted.per)),
               kPriority, description(wanted.direction, wanted.target, wanted.per)});
  for (const MemberText& member : members_of(wanted.direction, wanted.target, wanted.per)) {
    changes.run(
        "INSERT INTO {p}policy_members (PolicyID, Source, Destination) "
        "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?)",
        {ChangeSet::value_of(member.source), ChangeSet::value_of(member.destination)});
  }
  const DesiredRows desired = desired_rows(wanted);
  const auto name = fmt::format("{} per {}", name_of(wanted.direction), name_of(wanted.per));
  for (const Rate& rate : wanted.rates) {
    insert_quota(changes, desired, name, rate, std::nullopt);
  }
}

void update_limit(ChangeSet& changes, const DesiredRows& desired, const StoredLimit& stored) {
  if (desired.enabled == true) switch_on(changes, stored);
  if (desired.enabled == false && stored.enabled()) switch_off(changes, stored);
  if (desired.name && *desired.name != stored.policy_name) {
    changes.run("UPDATE {p}policies SET Name = ? WHERE ID = ?", {*desired.name, stored.policy_id});
  }
  update_track(changes, desired.track, stored);
  const auto assigned = assign(desired.rates, stored);
  std::set<std::int64_t> quotas_done;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const Rate& rate = desired.rates[i];
    if (assigned[i] == nullptr) {
      insert_quota(changes, desired, quota_name(desired), rate, stored.policy_id);
    } else {
      const bool first = quotas_done.insert(assigned[i]->quota_id).second;
      update_row(changes, desired, rate, *assigned[i], stored.verdict, first);
    }
  }
  for (const StoredRate& row : stored.rates) {
    if (std::find(assigned.begin(), assigned.end(), &row) != assigned.end()) continue;
    delete_row(changes, row);
  }
}

void switch_on(ChangeSet& changes, const StoredLimit& stored) {
  if (!stored.policy_enabled) {
    changes.run("UPDATE {p}policies SET Disabled = 0 WHERE ID = ?", {stored.policy_id});
  }
  const bool some = std::any_of(stored.members.begin(), stored.members.end(),
                                [](const auto& member) { return member.enabled; });
  if (!some) {
    changes.run("UPDATE {p}policy_members SET Disabled = 0 WHERE PolicyID = ?", {stored.policy_id});
  }
  for (const StoredRate& row : stored.rates) {
    if (row.enabled) continue;
    changes.run("UPDATE {p}quotas SET Disabled = 0 WHERE ID = ?", {row.quota_id});
    changes.run("UPDATE {p}quotas_limits SET Disabled = 0 WHERE ID = ?", {row.limit_id});
  }
}

// Disables the quotas, not the policy, which may serve others too.
void switch_off(ChangeSet& changes, const StoredLimit& stored) {
  for (const std::int64_t quota : quotas_of(stored)) {
    changes.run("UPDATE {p}quotas SET Disabled = 1 WHERE ID = ?", {quota});
  }
}

void delete_limit(ChangeSet& changes, const StoredLimit& stored) {
  const bool shared = shares_policy(changes, stored);
  for (const StoredRate& row : stored.rates) delete_row(changes, row);
  if (!shared) delete_policy(changes, stored);
}

bool shares_policy(ChangeSet& changes, const StoredLimit& limit) {
  const auto own = quotas_of(limit);
  bool shared = false;
  const auto done =
      changes.tables().each("SELECT ID FROM {p}quotas WHERE PolicyID = ?", {limit.policy_id},
                            [&](const policyd::sql::Statement& row) {
                              shared = shared || !own.contains(row.integer(0));
                            });
  if (!done) changes.fail(done.error());
  std::vector<std::string_view> others = {"amavis_rules"};
  for (const policyd::ModuleInfo& module : policyd::kModules) {
    if (module.table != "quotas") others.push_back(module.table);
  }
  for (const std::string_view module : others) {
    shared =
        shared || (changes.tables().has_table(module) &&
                   changes.has_row(fmt::format("SELECT 1 FROM {{p}}{} WHERE PolicyID = ?", module),
                                   {limit.policy_id}));
  }
  return shared;
}

}  // namespace limits
