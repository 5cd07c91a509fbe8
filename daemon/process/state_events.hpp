// SPDX-License-Identifier: AGPL-3.0-only
// Makes events of what the daemon's parts report as their state, once a second: trouble with the
// database, a cluster that shares no count, other rules, a pause. The loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/engine/pause.hpp"
#include "daemon/events/event_queue.hpp"

namespace policyd {

class StateEvents {
 public:
  // Shorter trouble, such as a lock, is none to tell anybody of.
  static constexpr Millis kShort{5'000};

  explicit StateEvents(EventQueue& queue) : queue_(queue) {}

  struct State {
    std::string_view trouble;                   // of the database; empty: none
    std::optional<std::string_view> unshared;   // why the cluster shares no count; empty: it does;
                                                // nullopt: there is none
    std::optional<std::int64_t> rules_version;  // in force
    Pause pause;                                // as last read, also if it is over
  };
  // What is so at the first call is no event: it was so before the daemon was started.
  void look(const State& state, TimePoint now);

 private:
  // Something that begins and ends.
  struct Spell {
    std::optional<TimePoint> since;
    std::string what;
    bool noted = false;
  };
  void follow(Spell& spell, std::string_view what, EventKind begun, EventKind ended, TimePoint now);
  void note(EventKind kind, TimePoint at, std::string_view detail, std::string_view who = {});
  void look_at_rules(std::optional<std::int64_t> version, bool troubled, TimePoint now);
  void look_at_pause(const Pause& pause, TimePoint now);

  EventQueue& queue_;
  Spell trouble_;
  Spell unshared_;
  std::optional<std::int64_t> rules_version_;
  Pause pause_;  // in force when last looked at
  bool first_ = true;
};

}  // namespace policyd
