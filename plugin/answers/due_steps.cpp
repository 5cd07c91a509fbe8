// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/answers/due_steps.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "plugin/answers/account_key.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/events/refusals.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;
using policyd::TimePoint;

constexpr std::string_view kSenderKey = "Sender:";
constexpr std::string_view kLoginKey = "SASLUsername:";

// Refusals of one counter of a limit, read from the last one back.
struct Refusals {
  const StoredLimit* limit = nullptr;
  Event latest;
  TimePoint spell_began{};
  std::uint64_t in_row = 0;  // in the latest spell
  std::size_t spells = 0;
  bool certain = true;  // all of them are of the account that the counter names

  void put(Event&& event, const OwnNames& own) {
    certain = certain && (!event.track_key.starts_with(kSenderKey) ||
                          is_certain({event.client, event.login, event.sender}, own));
    if (spells == 0) {
      spells = 1;
      in_row = event.times;
      spell_began = event.first;
      latest = std::move(event);
      return;
    }
    const bool same = spell_began - event.last <= kPauseBetween;
    if (!same) ++spells;
    if (same && spells == 1) in_row += event.times;
    spell_began = std::min(spell_began, event.first);
  }
};

std::string key_of(std::string_view by, std::string_view track_key) {
  return fmt::format("{}\n{}", by, track_key);
}

std::string name_of_limit(const StoredLimit& limit) { return fmt::format("limit {}", limit.id); }

bool is_stop(const Event& event) {
  return event.kind == EventKind::locked && !event.verdict.empty();
}

std::optional<DueStep> due_of(const Refusals& found, const StepsTaken& taken, std::uint64_t after,
                              TimePoint now) {
  if (now - found.latest.last > kPauseBetween) return std::nullopt;
  const bool in_row = found.in_row >= after;
  if (!in_row && found.spells < 2) return std::nullopt;
  const auto steps = parse_steps(found.limit->then());
  if (!steps) return std::nullopt;  // doctor reports it
  DueStep out;
  out.about = found.latest;
  out.by = name_of_limit(*found.limit);
  out.step = next_step(*steps, taken.count(out.by, out.about.track_key));
  out.reason = in_row ? fmt::format("refused {} times in a row", found.in_row)
                      : fmt::format("refused for the {} time in a day",
                                    found.spells == 2 ? "second" : "third or later");
  if (can_be_forged(*found.limit) || !found.certain) {
    only_notify(out, kMayBeForged);
  }
  return out;
}

}  // namespace

Step next_step(const std::vector<Step>& steps, std::size_t taken) {
  return steps.empty() ? Step{} : steps[std::min(taken, steps.size() - 1)];
}

void only_notify(DueStep& due, std::string_view why) {
  if (due.step.kind == Step::Kind::notify) return;
  due.step = Step{};
  due.reason += fmt::format("; not stopped: {}", why);
  due.only_notifies = true;
}

std::string name_of_counter(std::string_view track_key) {
  for (const std::string_view kind : {kSenderKey, kLoginKey}) {
    if (!track_key.starts_with(kind)) continue;
    const std::string_view name = track_key.substr(kind.size());
    const auto whom = parse_whom(name);
    return whom && whom->who != Who::client ? std::string{name} : std::string{};
  }
  if (!track_key.starts_with("SenderIP:")) return {};
  const std::string name = key_text(track_key);
  return parse_whom(name) ? name : std::string{};
}

std::string_view why_unnamed(std::string_view track_key) {
  if (!name_of_counter(track_key).empty()) return {};
  const bool of_one = track_key.starts_with(kSenderKey) || track_key.starts_with(kLoginKey);
  return of_one ? "no rule can name this sender" : "the counter is of several senders";
}

// What a person calls it: of a login, in both spellings, and of a sender address of this name.
std::string StepsTaken::name_of_key(std::string_view track_key) const {
  std::string name = name_of_counter(track_key);
  if (name.empty()) return std::string{track_key};
  const bool short_login = track_key.starts_with(kLoginKey) && name.find('@') == std::string::npos;
  return short_login && !login_domain_.empty() ? fmt::format("{}@{}", name, login_domain_) : name;
}

void StepsTaken::put(const Event& event) {
  if (event.kind != EventKind::locked && event.kind != EventKind::released &&
      event.kind != EventKind::suspect) {
    return;
  }
  if (event.kind == EventKind::released && !event.verdict.empty()) return;  // by itself
  const std::string name = name_of_key(event.track_key);
  if (event.verdict.empty()) {
    Touched& touched = names_.try_emplace(name, Touched{true, event.last}).first->second;
    touched.by_person = true;
    return;
  }
  const auto known = names_.find(name);
  if (known != names_.end() && known->second.by_person) return;  // begun anew since
  Taken& taken =
      taken_.try_emplace(key_of(event.who, event.track_key), Taken{0, event.last}).first->second;
  // Those of a minute are one row.
  if (event.verdict != kOnlyNotified) taken.steps += event.times;
  if (event.kind == EventKind::locked) names_.try_emplace(name, Touched{false, event.last});
}

std::optional<TimePoint> StepsTaken::done_until(std::string_view by,
                                                std::string_view track_key) const {
  std::optional<TimePoint> out;
  if (const auto found = names_.find(name_of_key(track_key)); found != names_.end()) {
    out = found->second.last;
  }
  if (const auto found = taken_.find(key_of(by, track_key)); found != taken_.end()) {
    out = std::max(out.value_or(found->second.last), found->second.last);
  }
  return out;
}

std::size_t StepsTaken::count(std::string_view by, std::string_view track_key) const {
  const auto found = taken_.find(key_of(by, track_key));
  return found == taken_.end() ? 0 : found->second.steps;
}

bool can_be_forged(const StoredLimit& limit) {
  if (!limit.what.target || !limit.what.per) return true;  // typed by hand: not known
  return *limit.what.per == Per::user;
}

Result<DueSteps> read_due_steps(const Tables& tables, const AllLimits& all, const OwnNames& own,
                                std::uint64_t after, TimePoint now) {
  DueSteps out;
  out.taken = StepsTaken{own.login_domain()};
  EventFilter filter;
  filter.kinds = {EventKind::locked, EventKind::released, EventKind::suspect};
  filter.since = now - kStepsWithin;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    const Event& event = stored.event;
    if (event.last > now) return true;  // before the clock was set back
    if (is_stop(event) && now - event.last < kPauseBetween) out.stopped_lately += event.times;
    out.taken.put(event);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  std::unordered_map<std::int64_t, const StoredLimit*> of_row;
  for (const StoredLimit& limit : all.limits) {
    if (limit.then().empty() || !limit.partly_enabled()) continue;
    for (const StoredRate& rate : limit.rates) of_row[rate.limit_id] = &limit;
  }
  if (of_row.empty()) return out;
  const auto freed = FreedSince::read(tables, all, *filter.since);
  if (!freed) return tl::unexpected{freed.error()};
  filter.kinds = {EventKind::refused};
  std::unordered_map<std::string, std::size_t> known;
  std::vector<Refusals> counters;  // in the order of their last refusals
  done = each_event(tables, filter, [&](StoredEvent&& stored) {
    Event& event = stored.event;
    const auto limit = event.module == "Quotas" ? of_row.find(event.row_id) : of_row.end();
    if (limit == of_row.end() || event.last > now) return true;
    const std::string by = name_of_limit(*limit->second);
    // A row of a minute in which a step was taken has refusals of before it, too.
    const auto until = out.taken.done_until(by, event.track_key);
    if ((until && event.first <= *until) || (*freed)(event)) return true;
    const auto [found, is_new] = known.try_emplace(key_of(by, event.track_key), counters.size());
    if (is_new) counters.emplace_back().limit = limit->second;
    counters[found->second].put(std::move(event), own);
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  for (const Refusals& each : counters) {
    if (auto due = due_of(each, out.taken, after, now)) out.steps.push_back(std::move(*due));
  }
  return out;
}

}  // namespace limits
