// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/known_full.hpp"

#include <functional>
#include <utility>

namespace policyd {

KnownFull::Entry* KnownFull::entry(std::string_view name) {
  return table_.find(std::hash<std::string_view>{}(name),
                     [&](const Entry& known) { return known.name == name; });
}

void KnownFull::put(std::string_view name, Window others, Millis period, TimePoint now) {
  Entry* known = entry(name);
  if (known == nullptr) {
    if (others.use() == 0) return;
    if (table_.size() >= kMax) table_.drop_oldest();
    known = &table_.add(std::hash<std::string_view>{}(name));
    known->name = name;
  }
  known->others = std::move(others);
  known->period = period;
  known->when = now;
}

const Window* KnownFull::find(std::string_view name, TimePoint now) {
  Entry* known = entry(name);
  if (known == nullptr) return nullptr;
  const auto age = now - known->when;
  if (age >= kTrusted || age <= -kTrusted) known->others = {};
  known->others.advance(now, known->period);
  return known->others.use() > 0 ? &known->others : nullptr;
}

}  // namespace policyd
