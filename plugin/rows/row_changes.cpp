// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/row_changes.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/rules/rules.hpp"
#include "plugin/limit/recognise.hpp"
#include "plugin/rows/limit_rows.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// As in the article. All matching policies apply, so the order only decides which answer is given,
// and whether a LastQuota of another policy comes first.
constexpr std::int64_t kPriority = 0;

Value text_value(const std::optional<std::string>& text) { return ChangeSet::value_of(text); }

std::int64_t disabled(bool enabled) { return enabled ? 0 : 1; }

// A limit of each message has none; the Perl daemon has no use for a quota without.
Value period_value(const Rate& rate) {
  constexpr std::int64_t kOfMessages = 60;
  return Value{is_of_each_message(rate.unit) ? kOfMessages : std::int64_t{rate.period.count()}};
}

std::string quota_name(const StoredLimit& limit) {
  const Recognised& what = limit.what;
  if (!what.direction || !what.per) return limit.track;
  return fmt::format("{} per {}", name_of(*what.direction), name_of(*what.per));
}

const StoredRate* row_of(const StoredLimit& limit, std::int64_t limit_id) {
  const auto found =
      std::find_if(limit.rates.begin(), limit.rates.end(),
                   [&](const StoredRate& rate) { return rate.limit_id == limit_id; });
  return found == limit.rates.end() ? nullptr : &*found;
}

const StoredRate* quota_of(const StoredLimit& limit, std::int64_t quota_id) {
  const auto found =
      std::find_if(limit.rates.begin(), limit.rates.end(),
                   [&](const StoredRate& rate) { return rate.quota_id == quota_id; });
  return found == limit.rates.end() ? nullptr : &*found;
}

// With the given ID in front if the INSERT has to give it.
std::vector<Value> with_id(NewIds::Id id, std::vector<Value> values) {
  if (!id.given) return values;
  std::vector<Value> out;
  out.reserve(values.size() + 1);
  out.emplace_back(id.id);
  std::move(values.begin(), values.end(), std::back_inserter(out));
  return out;
}

}  // namespace

NewIds::Id NewIds::take() {
  Id out{next_, !by_itself_};
  while (waiting_.contains(out.id)) {
    ++out.id;
    out.given = true;
  }
  next_ = out.id + 1;
  return out;
}

void RowChanges::insert_limit(StoredLimit& limit, const std::string& description) {
  const auto policy = ids_.policies.take();
  limit.policy_id = policy.id;
  add(policy.given ? "INSERT INTO {p}policies (ID, Name, Priority, Description) VALUES (?, ?, ?, ?)"
                   : "INSERT INTO {p}policies (Name, Priority, Description) VALUES (?, ?, ?)",
      with_id(policy, {limit.policy_name, kPriority, description}), policy.id);
  insert_members(limit);
  for (StoredRate& rate : limit.rates) insert_quota(limit, rate, true);
  limit.id = limit.rates.front().quota_id;
}

void RowChanges::insert_members(const StoredLimit& limit) {
  for (const StoredMember& member : limit.members) {
    if (member.enabled) {
      add("INSERT INTO {p}policy_members (PolicyID, Source, Destination) "
          "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?)",
          {text_value(member.text.source), text_value(member.text.destination)});
    } else {
      add("INSERT INTO {p}policy_members (PolicyID, Source, Destination, Disabled) "
          "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?, 1)",
          {text_value(member.text.source), text_value(member.text.destination)});
    }
  }
}

void RowChanges::insert_quota(const StoredLimit& limit, StoredRate& rate, bool into_newest_policy) {
  const auto quota = ids_.quotas.take();
  rate.quota_id = quota.id;
  std::vector<Value> values;
  if (quota.given) values.emplace_back(quota.id);
  if (!into_newest_policy) values.emplace_back(limit.policy_id);
  for (Value value :
       {Value{quota_name(limit)}, Value{limit.track}, period_value(rate.rate),
        text_value(limit.verdict), text_value(rate.data), Value{disabled(rate.enabled)}}) {
    values.push_back(std::move(value));
  }
  constexpr std::string_view kNewest =
      "INSERT INTO {p}quotas (PolicyID, Name, Track, Period, Verdict, Data, Disabled) "
      "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?, ?, ?, ?, ?)";
  constexpr std::string_view kNewestWithId =
      "INSERT INTO {p}quotas (ID, PolicyID, Name, Track, Period, Verdict, Data, Disabled) "
      "VALUES (?, (SELECT max(ID) FROM {p}policies), ?, ?, ?, ?, ?, ?)";
  constexpr std::string_view kGiven =
      "INSERT INTO {p}quotas (PolicyID, Name, Track, Period, Verdict, Data, Disabled) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)";
  constexpr std::string_view kGivenWithId =
      "INSERT INTO {p}quotas (ID, PolicyID, Name, Track, Period, Verdict, Data, Disabled) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
  add(into_newest_policy ? (quota.given ? kNewestWithId : kNewest)
                         : (quota.given ? kGivenWithId : kGiven),
      std::move(values), quota.id);
  if (!rate.comment.empty()) {
    add("UPDATE {p}quotas SET Comment = ? WHERE ID = (SELECT max(ID) FROM {p}quotas)",
        {rate.comment});
  }
  insert_limit_row(rate, true);
}

void RowChanges::insert_limit_row(StoredRate& rate, bool into_newest_quota) {
  const auto row = ids_.quotas_limits.take();
  rate.limit_id = row.id;
  std::vector<Value> values;
  if (!into_newest_quota) values.emplace_back(rate.quota_id);
  values.emplace_back(std::string{policyd::name_of(type_of(rate.rate.unit))});
  values.emplace_back(rate.rate.amount);
  constexpr std::string_view kNewest =
      "INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) "
      "VALUES ((SELECT max(ID) FROM {p}quotas), ?, ?)";
  constexpr std::string_view kNewestWithId =
      "INSERT INTO {p}quotas_limits (ID, QuotasID, Type, CounterLimit) "
      "VALUES (?, (SELECT max(ID) FROM {p}quotas), ?, ?)";
  constexpr std::string_view kGiven =
      "INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) VALUES (?, ?, ?)";
  constexpr std::string_view kGivenWithId =
      "INSERT INTO {p}quotas_limits (ID, QuotasID, Type, CounterLimit) VALUES (?, ?, ?, ?)";
  add(into_newest_quota ? (row.given ? kNewestWithId : kNewest)
                        : (row.given ? kGivenWithId : kGiven),
      with_id(row, std::move(values)), row.id);
}

void RowChanges::delete_limit_row(std::int64_t limit_id) {
  add("DELETE FROM {p}quotas_limits WHERE ID = ?", {limit_id});
  add("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ?", {limit_id});
}

void RowChanges::delete_rate(const StoredRate& rate) {
  delete_limit_row(rate.limit_id);
  if (rate.alone) {
    add("DELETE FROM {p}quotas WHERE ID = ?", {rate.quota_id});
  } else {
    add("DELETE FROM {p}quotas WHERE ID = ? "
        "AND NOT EXISTS (SELECT 1 FROM {p}quotas_limits WHERE QuotasID = {p}quotas.ID)",
        {rate.quota_id});
  }
}

void RowChanges::delete_rows(const StoredLimit& limit) {
  for (const StoredRate& rate : limit.rates) delete_rate(rate);
}

void RowChanges::delete_policy(const StoredLimit& limit) {
  for (const StoredMember& member : limit.members) {
    add("DELETE FROM {p}policy_members WHERE ID = ?", {member.id});
  }
  add("DELETE FROM {p}policies WHERE ID = ?", {limit.policy_id});
}

void RowChanges::update_rate(const StoredLimit& before, const StoredLimit& now,
                             const StoredRate& was, const StoredRate& rate, bool first_of_quota) {
  const bool verdict_differs = before.verdict != now.verdict;
  if (first_of_quota &&
      (verdict_differs || was.data != rate.data || was.rate.period != rate.rate.period)) {
    add("UPDATE {p}quotas SET Period = ?, Verdict = ?, Data = ? WHERE ID = ?",
        {period_value(rate.rate), text_value(now.verdict), text_value(rate.data), rate.quota_id});
  }
  if (first_of_quota && was.comment != rate.comment) {
    add("UPDATE {p}quotas SET Comment = ? WHERE ID = ?",
        {rate.comment.empty() ? Value{nullptr} : Value{rate.comment}, rate.quota_id});
  }
  if (was.enabled == rate.enabled) return;
  if (first_of_quota || rate.enabled) {
    add("UPDATE {p}quotas SET Disabled = ? WHERE ID = ?", {disabled(rate.enabled), rate.quota_id});
  }
  if (rate.enabled && rate.limit_id == was.limit_id) {
    add("UPDATE {p}quotas_limits SET Disabled = 0 WHERE ID = ?", {rate.limit_id});
  }
}

// The counters of single IPv4 addresses are kept, under the keys of the new Track.
void RowChanges::update_track(const StoredLimit& before, const StoredLimit& now) {
  if (before.track == now.track) return;
  std::set<std::int64_t> done;
  for (const StoredRate& rate : now.rates) {
    if (rate.quota_id == 0 || !done.insert(rate.quota_id).second) continue;
    add("UPDATE {p}quotas SET Track = ? WHERE ID = ?", {now.track, rate.quota_id});
  }
  if (!joins_v6_clients(before.track, before.what.target)) return;
  for (const StoredRate& rate : before.rates) {
    add("UPDATE OR REPLACE {p}quotas_tracking SET TrackKey = replace(TrackKey, '/32', '/128') "
        "WHERE QuotasLimitsID = ? AND TrackKey LIKE 'SenderIP:%.%/32'",
        {rate.limit_id});
    add("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND TrackKey LIKE "
        "'SenderIP:%/32'",
        {rate.limit_id});
  }
}

void RowChanges::update_members(const StoredLimit& before, const StoredLimit& now) {
  const auto find = [](const StoredLimit& limit, std::int64_t id) {
    return std::find_if(limit.members.begin(), limit.members.end(),
                        [&](const StoredMember& member) { return member.id == id; });
  };
  for (const StoredMember& member : now.members) {
    const auto was = find(before, member.id);
    if (was == before.members.end()) {
      add("INSERT INTO {p}policy_members (PolicyID, Source, Destination) VALUES (?, ?, ?)",
          {now.policy_id, text_value(member.text.source), text_value(member.text.destination)});
      continue;
    }
    if (!(member.text == was->text)) {
      add("UPDATE {p}policy_members SET Source = ?, Destination = ? WHERE ID = ?",
          {text_value(member.text.source), text_value(member.text.destination), member.id});
    }
    if (member.enabled != was->enabled) {
      add("UPDATE {p}policy_members SET Disabled = ? WHERE ID = ?",
          {disabled(member.enabled), member.id});
    }
  }
  for (const StoredMember& was : before.members) {
    if (find(now, was.id) != now.members.end()) continue;
    add("DELETE FROM {p}policy_members WHERE ID = ?", {was.id});
  }
}

void RowChanges::update_limit(const StoredLimit& before, StoredLimit& now) {
  if (before.policy_id == now.policy_id) {
    if (before.policy_name != now.policy_name) {
      add("UPDATE {p}policies SET Name = ? WHERE ID = ?", {now.policy_name, now.policy_id});
    }
    update_members(before, now);
  }
  if (before.policy_enabled != now.policy_enabled) {
    add("UPDATE {p}policies SET Disabled = ? WHERE ID = ?",
        {disabled(now.policy_enabled), now.policy_id});
  }
  update_track(before, now);
  std::set<std::int64_t> quotas_done;
  for (StoredRate& rate : now.rates) {
    if (rate.quota_id == 0) {
      insert_quota(now, rate, false);
      continue;
    }
    const StoredRate* was = row_of(before, rate.limit_id);
    if (was == nullptr) was = quota_of(before, rate.quota_id);
    update_rate(before, now, *was, rate, quotas_done.insert(rate.quota_id).second);
    if (rate.limit_id == 0) {
      delete_limit_row(was->limit_id);
      insert_limit_row(rate, false);
    } else if (was->rate.amount != rate.rate.amount) {
      add("UPDATE {p}quotas_limits SET CounterLimit = ? WHERE ID = ?",
          {rate.rate.amount, rate.limit_id});
    }
  }
  for (const StoredRate& was : before.rates) {
    const bool kept = row_of(now, was.limit_id) != nullptr;
    const StoredRate* quota = quota_of(now, was.quota_id);
    // Its row was replaced by one of another unit.
    if (kept || (quota != nullptr && was.alone)) continue;
    delete_rate(was);
  }
  now.id = std::min_element(now.rates.begin(), now.rates.end(), [](const auto& a, const auto& b) {
             return a.quota_id < b.quota_id;
           })->quota_id;
}

void RowChanges::move_limit(const StoredLimit& before, StoredLimit& now) {
  const auto policy = ids_.policies.take();
  add(policy.given ? "INSERT INTO {p}policies (ID, Name, Priority, Description, Disabled) "
                     "SELECT ?, ?, Priority, Description, Disabled FROM {p}policies WHERE ID = ?"
                   : "INSERT INTO {p}policies (Name, Priority, Description, Disabled) "
                     "SELECT ?, Priority, Description, Disabled FROM {p}policies WHERE ID = ?",
      with_id(policy, {now.policy_name, before.policy_id}), policy.id);
  insert_members(now);
  std::set<std::int64_t> moved;
  for (const StoredRate& rate : now.rates) {
    if (rate.quota_id == 0 || !moved.insert(rate.quota_id).second) continue;
    add("UPDATE {p}quotas SET PolicyID = (SELECT max(ID) FROM {p}policies) WHERE ID = ?",
        {rate.quota_id});
  }
  now.policy_id = policy.id;
}

// `owner`: the column that names the row it belongs to, which is the newest one; may be empty.
// `verb`: INSERT, or INSERT OR REPLACE.
void RowChanges::insert_carried(const CarriedRow& row, std::string_view owner, NewIds* ids,
                                std::string_view verb) {
  std::string columns;
  std::string values;
  std::vector<Value> bound;
  const auto add_column = [&](std::string_view column, std::string_view value) {
    columns += fmt::format("{}{}", columns.empty() ? "" : ", ", column);
    values += fmt::format("{}{}", values.empty() ? "" : ", ", value);
  };
  const NewIds::Id id = ids == nullptr ? NewIds::Id{} : ids->take();
  if (id.given) {
    add_column("ID", "?");
    bound.emplace_back(id.id);
  }
  if (owner == "PolicyID") add_column(owner, "(SELECT max(ID) FROM {p}policies)");
  if (owner == "QuotasID") add_column(owner, "(SELECT max(ID) FROM {p}quotas)");
  for (const auto& [column, value] : row.values) {
    add_column(column, "?");
    bound.emplace_back(value);
  }
  RowChange change{{}, std::move(bound), id.id};
  change.made = fmt::format("{} INTO {{p}}{} ({}) VALUES ({})", verb, row.table, columns, values);
  changes_.push_back(std::move(change));
}

void RowChanges::insert_policy(const CarriedPolicy& policy) {
  for (const CarriedRow& row : policy.rows) {
    if (row.table == "policies") {
      insert_carried(row, "", &ids_.policies);
    } else if (row.table == "quotas") {
      insert_carried(row, "PolicyID", &ids_.quotas);
    } else if (row.table == "quotas_limits") {
      insert_carried(row, "QuotasID", &ids_.quotas_limits);
    } else {
      insert_carried(row, "PolicyID", nullptr);
    }
  }
}

void RowChanges::put_row(const CarriedRow& row) {
  insert_carried(row, "", nullptr, "INSERT OR REPLACE");
}

void RowChanges::change_group(const GroupChange& group) {
  if (group.create) {
    const auto id = ids_.policy_groups.take();
    add(id.given ? "INSERT INTO {p}policy_groups (ID, Name, Comment) VALUES (?, ?, ?)"
                 : "INSERT INTO {p}policy_groups (Name, Comment) VALUES (?, ?)",
        with_id(id, {group.name, group.comment.empty() ? Value{nullptr} : Value{group.comment}}),
        id.id);
  }
  if (group.enable) {
    add("UPDATE {p}policy_groups SET Disabled = 0 WHERE Name = ?", {group.name});
  }
  if (group.disable) {
    add("UPDATE {p}policy_groups SET Disabled = 1 WHERE Name = ?", {group.name});
  }
  for (const std::int64_t id : group.remove) {
    add("DELETE FROM {p}policy_group_members WHERE ID = ?", {id});
  }
  for (const GroupChange::Item& item : group.mark) {
    add("UPDATE {p}policy_group_members SET Comment = ? WHERE ID = ?",
        {item.exempt ? Value{std::string{kExemptComment}} : Value{nullptr}, item.id});
  }
  for (const GroupChange::Item& item : group.insert) {
    add("INSERT INTO {p}policy_group_members (PolicyGroupID, Member, Comment) "
        "VALUES ((SELECT ID FROM {p}policy_groups WHERE Name = ?), ?, ?)",
        {group.name, item.text, item.exempt ? Value{std::string{kExemptComment}} : Value{nullptr}});
  }
  if (group.sweep) {
    add("DELETE FROM {p}policy_group_members WHERE PolicyGroupID = "
        "(SELECT ID FROM {p}policy_groups WHERE Name = ?)",
        {group.name});
  }
  if (group.drop) add("DELETE FROM {p}policy_groups WHERE Name = ?", {group.name});
}

}  // namespace limits
