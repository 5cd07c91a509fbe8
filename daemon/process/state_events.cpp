// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/process/state_events.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <chrono>
#include <ctime>
#include <utility>

#include "daemon/events/rules_change.hpp"

namespace policyd {

void StateEvents::look(const State& state, TimePoint now) {
  const bool troubled = trouble_.since || !state.trouble.empty();
  follow(trouble_, state.trouble, EventKind::trouble, EventKind::recovered, now);
  if (state.unshared) {
    follow(unshared_, *state.unshared, EventKind::engine_lost, EventKind::engine_back, now);
  }
  look_at_rules(state.rules_version, troubled, now);
  look_at_pause(state.pause, now);
  first_ = false;
}

void StateEvents::follow(Spell& spell, std::string_view what, EventKind begun, EventKind ended,
                         TimePoint now) {
  if (what.empty()) {
    if (spell.noted) note(ended, now, spell.what);
    spell = {};
    return;
  }
  if (!spell.since || *spell.since > now) spell.since = now;
  spell.what = what;
  if (spell.noted || now - *spell.since < kShort) return;
  spell.noted = true;
  note(begun, *spell.since, what);
}

void StateEvents::note(EventKind kind, TimePoint at, std::string_view detail,
                       std::string_view who) {
  Event* event = queue_.note({kind, "Core", 0, {}, {}}, at);
  if (event == nullptr) return;
  event->detail = cut(detail, Event::kMaxText);
  event->who = cut(who, Event::kMaxText);
}

// Commands announce what they change; the event writer finds out which versions nobody announced.
// In trouble it is the daemon that puts its rules into a new file.
void StateEvents::look_at_rules(std::optional<std::int64_t> version, bool troubled, TimePoint now) {
  if (!version || version == rules_version_) return;
  if (rules_version_ && *version > *rules_version_ && !troubled) {
    Event* event = queue_.note({EventKind::rules, "Core", *version, {}, {}}, now);
    if (event != nullptr) *event = rules_event(*rules_version_, *version, now);
  }
  rules_version_ = version;
}

void StateEvents::look_at_pause(const Pause& pause, TimePoint now) {
  const bool in_force = pause.in_force(now);
  const Pause before = std::exchange(pause_, in_force ? pause : Pause{});
  if (first_ || pause_ == before) return;
  if (in_force) {
    const auto until = std::chrono::system_clock::to_time_t(pause.until);
    note(EventKind::paused, now,
         fmt::format("until {:%Y-%m-%d %H:%M:%S}, mail is {}", fmt::localtime(until),
                     pause.counted ? "counted" : "not counted"),
         pause.who);
  } else {
    const bool ended = now >= before.until;
    note(EventKind::resumed, now, ended ? "its time was over" : "", ended ? "" : pause.who);
  }
}

}  // namespace policyd
