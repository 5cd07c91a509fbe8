// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/write_limit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "plugin/limit/recognise.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using Value = Changes::Value;

// The article's. All policies that match apply, so the order decides only whose answer is given,
// and before which LastQuota of others a limit is asked.
constexpr std::int64_t kPriority = 0;

Value value_of(const std::optional<std::string>& text) {
  return text ? Value{*text} : Value{nullptr};
}

std::string type_of(Unit unit) {
  return unit == Unit::messages ? "MessageCount" : "MessageCumulativeSize";
}

std::string quota_name(const Wish& wish) {
  const Recognised what = recognise({}, wish.track, Direction::send);
  if (!what.direction || !what.per) return wish.track;
  return fmt::format("{} per {}", name_of(*what.direction), name_of(*what.per));
}

// `policy`: an ID, or none for the policy inserted last.
Result<void> insert_quota(Changes& changes, const Wish& wish, const std::string& name,
                          const Rate& rate, std::optional<std::int64_t> policy) {
  std::vector<Value> values;
  if (policy) values.emplace_back(*policy);
  for (Value value : {Value{name}, Value{wish.track}, Value{std::int64_t{rate.period.count()}},
                      value_of(wish.verdict), value_of(wish.text(rate)),
                      Value{std::int64_t{wish.enabled.value_or(true) ? 0 : 1}}}) {
    values.push_back(std::move(value));
  }
  auto done = changes.run(
      fmt::format("INSERT INTO {{p}}quotas (PolicyID, Name, Track, Period, Verdict, Data, "
                  "Disabled) VALUES ({}, ?, ?, ?, ?, ?, ?)",
                  policy ? "?" : "(SELECT max(ID) FROM {p}policies)"),
      values);
  if (!done) return done;
  return changes.run(
      "INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) "
      "VALUES ((SELECT max(ID) FROM {p}quotas), ?, ?)",
      {type_of(rate.unit), rate.amount});
}

// Which stored row becomes which wanted rate. A row keeps its period, and with it what it has
// counted, where that is wanted too; else a row is given another period; what is left over is
// inserted or deleted.
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

// The row of quotas_limits with what it has counted.
Result<void> delete_counting(Changes& changes, std::int64_t limit_id) {
  auto done = changes.run("DELETE FROM {p}quotas_limits WHERE ID = ?", {limit_id});
  if (!done) return done;
  return changes.run("DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ?", {limit_id});
}

Result<void> delete_row(Changes& changes, const StoredRate& row) {
  auto done = delete_counting(changes, row.limit_id);
  if (!done) return done;
  return changes.run(
      "DELETE FROM {p}quotas WHERE ID = ? "
      "AND NOT EXISTS (SELECT 1 FROM {p}quotas_limits WHERE QuotasID = {p}quotas.ID)",
      {row.quota_id});
}

// `first`: false for the further rows of a quota that has several; its first decides.
Result<void> bring_row(Changes& changes, const Wish& wish, const Rate& rate, const StoredRate& row,
                       const std::optional<std::string>& verdict, bool first) {
  const auto text = wish.text(rate);
  const bool verdict_differs =
      !equal_ignoring_case(verdict.value_or(""), wish.verdict.value_or(""));
  if (first && (verdict_differs || !same_text(row.data, text) || row.rate.period != rate.period)) {
    auto done = changes.run(
        "UPDATE {p}quotas SET Period = ?, Verdict = ?, Data = ? WHERE ID = ?",
        {std::int64_t{rate.period.count()}, value_of(wish.verdict), value_of(text), row.quota_id});
    if (!done) return done;
  }
  if (row.rate.unit != rate.unit) {
    // Another row, since what the old one counted is in another unit.
    auto done = delete_counting(changes, row.limit_id);
    if (!done) return done;
    return changes.run(
        "INSERT INTO {p}quotas_limits (QuotasID, Type, CounterLimit) VALUES (?, ?, ?)",
        {row.quota_id, type_of(rate.unit), rate.amount});
  }
  if (row.rate.amount != rate.amount) {
    return changes.run("UPDATE {p}quotas_limits SET CounterLimit = ? WHERE ID = ?",
                       {rate.amount, row.limit_id});
  }
  return {};
}

Result<void> delete_policy(Changes& changes, const StoredLimit& stored) {
  auto done = changes.run("DELETE FROM {p}policy_members WHERE PolicyID = ?", {stored.policy_id});
  if (!done) return done;
  return changes.run("DELETE FROM {p}policies WHERE ID = ?", {stored.policy_id});
}

std::set<std::int64_t> quotas_of(const StoredLimit& limit) {
  std::set<std::int64_t> out;
  for (const StoredRate& rate : limit.rates) out.insert(rate.quota_id);
  return out;
}

// What single IPv4 addresses have used stays theirs, under the key of the new Track.
Result<void> bring_track(Changes& changes, const std::string& track, const StoredLimit& stored) {
  if (!joins_v6_clients(stored.track, stored.what.target) ||
      equal_ignoring_case(stored.track, track)) {
    return {};
  }
  for (const std::int64_t quota : quotas_of(stored)) {
    auto done = changes.run("UPDATE {p}quotas SET Track = ? WHERE ID = ?", {track, quota});
    if (!done) return done;
  }
  for (const StoredRate& row : stored.rates) {
    auto done = changes.run(
        "UPDATE OR REPLACE {p}quotas_tracking SET TrackKey = replace(TrackKey, '/32', '/128') "
        "WHERE QuotasLimitsID = ? AND TrackKey LIKE 'SenderIP:%.%/32'",
        {row.limit_id});
    if (done) {
      done = changes.run(
          "DELETE FROM {p}quotas_tracking WHERE QuotasLimitsID = ? AND TrackKey LIKE "
          "'SenderIP:%/32'",
          {row.limit_id});
    }
    if (!done) return done;
  }
  return {};
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

Wish wish_of(const WantedLimit& wanted) {
  const auto text = [wanted](const Rate& rate) -> std::optional<std::string> {
    if (!wanted.verdict || !wanted.message) {
      return message_for(wanted.direction, rate, wanted.verdict);
    }
    return wanted.message->empty() ? std::nullopt : wanted.message;
  };
  return Wish{wanted.rates,
              track_of(wanted.direction, wanted.per).value_or(std::string{}),
              verdict_text(wanted.verdict),
              text,
              wanted.name,
              wanted.enabled};
}

Wish wish_of(const StoredLimit& stored, std::vector<Rate> rates) {
  const auto verdict = policyd::parse_action(stored.verdict.value_or(""));
  const bool defaults = has_default_texts(stored);
  const auto text = [&stored, verdict, defaults](const Rate& rate) -> std::optional<std::string> {
    if (defaults) return message_for(*stored.what.direction, rate, verdict);
    for (const StoredRate& row : stored.rates) {
      if (row.rate.period == rate.period && row.rate.unit == rate.unit) return row.data;
    }
    return stored.rates.front().data;
  };
  return Wish{std::move(rates), stored.track, stored.verdict, text, std::nullopt, std::nullopt};
}

Result<void> insert_limit(Changes& changes, const WantedLimit& wanted) {
  auto done =
      changes.run("INSERT INTO {p}policies (Name, Priority, Description) VALUES (?, ?, ?)",
                  {wanted.name.value_or(default_name(wanted.direction, wanted.target, wanted.per)),
                   kPriority, description(wanted.direction, wanted.target, wanted.per)});
  for (const MemberText& member : members_of(wanted.direction, wanted.target, wanted.per)) {
    if (!done) return done;
    done = changes.run(
        "INSERT INTO {p}policy_members (PolicyID, Source, Destination) "
        "VALUES ((SELECT max(ID) FROM {p}policies), ?, ?)",
        {value_of(member.source), value_of(member.destination)});
  }
  const Wish wish = wish_of(wanted);
  const auto name = fmt::format("{} per {}", name_of(wanted.direction), name_of(wanted.per));
  for (const Rate& rate : wanted.rates) {
    if (!done) return done;
    done = insert_quota(changes, wish, name, rate, std::nullopt);
  }
  return done;
}

Result<void> bring_limit(Changes& changes, const Wish& wish, const StoredLimit& stored) {
  Result<void> done;
  if (wish.enabled == true) done = switch_on(changes, stored);
  if (wish.enabled == false && stored.enabled()) done = switch_off(changes, stored);
  if (!done) return done;
  if (wish.name && *wish.name != stored.policy_name) {
    done =
        changes.run("UPDATE {p}policies SET Name = ? WHERE ID = ?", {*wish.name, stored.policy_id});
    if (!done) return done;
  }
  done = bring_track(changes, wish.track, stored);
  if (!done) return done;
  const auto assigned = assign(wish.rates, stored);
  std::set<std::int64_t> quotas_done;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const Rate& rate = wish.rates[i];
    if (assigned[i] == nullptr) {
      done = insert_quota(changes, wish, quota_name(wish), rate, stored.policy_id);
    } else {
      const bool first = quotas_done.insert(assigned[i]->quota_id).second;
      done = bring_row(changes, wish, rate, *assigned[i], stored.verdict, first);
    }
    if (!done) return done;
  }
  for (const StoredRate& row : stored.rates) {
    if (std::find(assigned.begin(), assigned.end(), &row) != assigned.end()) continue;
    done = delete_row(changes, row);
    if (!done) return done;
  }
  return {};
}

Result<void> switch_on(Changes& changes, const StoredLimit& stored) {
  Result<void> done;
  if (!stored.policy_enabled) {
    done = changes.run("UPDATE {p}policies SET Disabled = 0 WHERE ID = ?", {stored.policy_id});
  }
  const bool some = std::any_of(stored.members.begin(), stored.members.end(),
                                [](const auto& member) { return member.enabled; });
  if (done && !some) {
    done = changes.run("UPDATE {p}policy_members SET Disabled = 0 WHERE PolicyID = ?",
                       {stored.policy_id});
  }
  for (const StoredRate& row : stored.rates) {
    if (row.enabled) continue;
    if (done) done = changes.run("UPDATE {p}quotas SET Disabled = 0 WHERE ID = ?", {row.quota_id});
    if (done) {
      done = changes.run("UPDATE {p}quotas_limits SET Disabled = 0 WHERE ID = ?", {row.limit_id});
    }
  }
  return done;
}

// By its quotas, since the policy may serve others too.
Result<void> switch_off(Changes& changes, const StoredLimit& stored) {
  Result<void> done;
  for (const std::int64_t quota : quotas_of(stored)) {
    if (done) done = changes.run("UPDATE {p}quotas SET Disabled = 1 WHERE ID = ?", {quota});
  }
  return done;
}

Result<void> delete_limit(Changes& changes, const StoredLimit& stored) {
  const auto company = has_company(changes.tables(), stored);
  if (!company) return tl::unexpected{company.error()};
  for (const StoredRate& row : stored.rates) {
    auto done = delete_row(changes, row);
    if (!done) return done;
  }
  return *company ? Result<void>{} : delete_policy(changes, stored);
}

Result<bool> has_company(const Tables& tables, const StoredLimit& limit) {
  auto quotas = tables.prepare("SELECT ID FROM {p}quotas WHERE PolicyID = ?");
  if (!quotas) return tl::unexpected{quotas.error()};
  quotas->bind(1, limit.policy_id);
  const auto own = quotas_of(limit);
  int code = SQLITE_ROW;
  while ((code = quotas->step()) == SQLITE_ROW) {
    if (!own.contains(quotas->integer(0))) return true;
  }
  if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
  constexpr std::array<std::string_view, 6> kModules = {
      "access_control", "accounting", "checkhelo", "checkspf", "greylisting", "amavis_rules"};
  for (const std::string_view module : kModules) {
    if (!tables.has_table(module)) continue;
    auto rows = tables.prepare(fmt::format("SELECT 1 FROM {{p}}{} WHERE PolicyID = ?", module));
    if (!rows) return tl::unexpected{rows.error()};
    code = rows->bind(1, limit.policy_id).step();
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) return tl::unexpected{tables.error(code)};
  }
  return false;
}

}  // namespace limits
