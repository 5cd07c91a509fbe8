// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/limit_rows.hpp"

#include <algorithm>

#include "plugin/limit/steps.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

bool is_before(const Rate& a, const Rate& b) {
  return a.period != b.period ? a.period < b.period : a.unit < b.unit;
}

// Assigns stored rows to the wanted rates. A row whose period is still wanted keeps it, and so its
// counters; other rows get another period; the rest is new or deleted.
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

// A quota with several rows has one text, that of the first.
void share_texts(std::vector<StoredRate>& rates) {
  for (auto rate = rates.begin(); rate != rates.end(); ++rate) {
    if (rate->alone) continue;
    const auto first = std::find_if(rates.begin(), rate, [&](const StoredRate& other) {
      return other.quota_id == rate->quota_id;
    });
    rate->data = first->data;
  }
}

}  // namespace

bool same_text(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  return a.value_or("") == b.value_or("");
}

bool is_default_text(const std::optional<std::string>& text, Direction direction, const Rate& rate,
                     const std::optional<policyd::Action>& verdict) {
  return same_text(text, message_for(direction, rate, verdict)) ||
         same_text(text, earlier_message_for(direction, rate, verdict));
}

bool has_default_texts(const StoredLimit& limit) {
  if (!limit.what.direction) return false;
  const auto verdict = policyd::parse_action(limit.verdict.value_or(""));
  return std::all_of(limit.rates.begin(), limit.rates.end(), [&](const StoredRate& row) {
    return is_default_text(row.data, *limit.what.direction, row.rate, verdict);
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
                     wanted.enabled,
                     wanted.then};
}

DesiredRows desired_rows(const StoredLimit& stored, std::vector<Rate> rates) {
  const auto verdict = policyd::parse_action(stored.verdict.value_or(""));
  const bool defaults = has_default_texts(stored);
  const auto text = [stored, verdict, defaults](const Rate& rate) -> std::optional<std::string> {
    if (defaults) return message_for(*stored.what.direction, rate, verdict);
    for (const StoredRate& row : stored.rates) {
      if (row.rate.period == rate.period && row.rate.unit == rate.unit) return row.data;
    }
    return stored.rates.front().data;
  };
  return DesiredRows{std::move(rates), stored.track, stored.verdict, text,
                     std::nullopt,     std::nullopt, std::nullopt};
}

StoredLimit new_limit(const WantedLimit& wanted) {
  StoredLimit out;
  out.policy_name = wanted.name.value_or(default_name(wanted.direction, wanted.target, wanted.per));
  out.what = Recognised{wanted.direction, wanted.per, wanted.target, std::nullopt, {}};
  const DesiredRows desired = desired_rows(wanted);
  out.track = desired.track;
  out.verdict = desired.verdict;
  for (const MemberText& member : members_of(wanted.direction, wanted.target, wanted.per)) {
    out.members.push_back({0, member, true});
  }
  for (const Rate& rate : wanted.rates) {
    out.rates.push_back(
        {0, 0, rate, desired.text(rate), wanted.enabled, true, with_steps({}, wanted.then)});
  }
  return out;
}

StoredLimit changed_limit(StoredLimit stored, const DesiredRows& desired) {
  const auto assigned = assign(desired.rates, stored);
  const auto verdict = policyd::parse_action(desired.verdict.value_or(""));
  const std::string then = desired.then.value_or(stored.then());
  std::vector<StoredRate> rates;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    const Rate& rate = desired.rates[i];
    StoredRate row{0, 0, rate, desired.text(rate), stored.rates.front().enabled, true};
    if (assigned[i] != nullptr) {
      row.quota_id = assigned[i]->quota_id;
      row.alone = assigned[i]->alone;
      row.enabled = assigned[i]->enabled;
      // The counters of a row are in its unit.
      if (assigned[i]->rate.unit == rate.unit) row.limit_id = assigned[i]->limit_id;
    }
    row.comment = with_steps(assigned[i] == nullptr ? "" : assigned[i]->comment, then);
    // The spelling of what means the same is not changed, and so a default text of before.
    const bool both_default =
        assigned[i] != nullptr && stored.what.direction &&
        is_default_text(row.data, *stored.what.direction, rate, verdict) &&
        is_default_text(assigned[i]->data, *stored.what.direction, rate, verdict);
    if (both_default || (assigned[i] != nullptr && same_text(row.data, assigned[i]->data))) {
      row.data = assigned[i]->data;
    }
    rates.push_back(std::move(row));
  }
  if (joins_v6_clients(stored.track, stored.what.target)) stored.track = desired.track;
  if (!equal_ignoring_case(stored.verdict.value_or(""), desired.verdict.value_or(""))) {
    stored.verdict = desired.verdict;
  }
  if (desired.name) stored.policy_name = *desired.name;
  stored.rates = std::move(rates);
  share_texts(stored.rates);
  if (desired.enabled == true) return switched_limit(std::move(stored), true);
  if (desired.enabled == false && stored.enabled()) return switched_limit(std::move(stored), false);
  return stored;
}

// Disables the quotas, not the policy, which may serve others too.
StoredLimit switched_limit(StoredLimit stored, bool on) {
  for (StoredRate& rate : stored.rates) rate.enabled = on;
  if (!on) return stored;
  stored.policy_enabled = true;
  const bool some = std::any_of(stored.members.begin(), stored.members.end(),
                                [](const auto& member) { return member.enabled; });
  for (StoredMember& member : stored.members) member.enabled = member.enabled || !some;
  return stored;
}

StoredLimit counted_per(StoredLimit stored, Per per) {
  const Direction direction = *stored.what.direction;
  stored.what.per = per;
  stored.track = track_of(direction, per).value_or(stored.track);
  std::vector<StoredMember> members;
  for (MemberText& text : members_of(direction, *stored.what.target, per)) {
    if (stored.what.except_group) {
      text = with_exception(text, direction, *stored.what.except_group);
    }
    const std::size_t i = members.size();
    members.push_back({i < stored.members.size() ? stored.members[i].id : 0, text, true});
  }
  stored.members = std::move(members);
  return stored;
}

std::vector<Rate> with_other_units(std::vector<Rate> rates, const StoredLimit& stored,
                                   Units units) {
  for (const StoredRate& row : stored.rates) {
    if (!units.has(row.rate.unit)) rates.push_back(row.rate);
  }
  std::sort(rates.begin(), rates.end(), is_before);
  return rates;
}

}  // namespace limits
