// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/events/joined_changes.hpp"

#include <chrono>
#include <utility>

namespace limits {
namespace {

using policyd::Event;
using policyd::EventKind;

// A block changes rules too, again once its account is locked. That is one change.
bool is_of_block(const Event& rules, const Event& event) {
  constexpr std::chrono::minutes kOneBlock{1};
  return (event.kind == EventKind::locked || event.kind == EventKind::released) &&
         rules.kind == EventKind::rules && rules.who == event.who && rules.detail == event.detail &&
         rules.last - event.last < kOneBlock;
}

// A `reset` of several counters is one change, with how many.
bool is_same_change(const Event& a, const Event& b) {
  constexpr std::chrono::seconds kOneCommand{2};
  return a.kind == EventKind::reset && b.kind == EventKind::reset && a.who == b.who &&
         a.detail == b.detail && a.last - b.last < kOneCommand;
}

}  // namespace

void add_change(std::vector<Event>& changes, Event event) {
  while (!changes.empty() && is_of_block(changes.back(), event)) changes.pop_back();
  if (changes.empty() || !is_same_change(changes.back(), event)) {
    changes.push_back(std::move(event));
    return;
  }
  changes.back().times += event.times;
  changes.back().track_key.clear();
}

}  // namespace limits
