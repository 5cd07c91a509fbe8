// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/counting_store.hpp"

namespace limits {

TriedCounter& CountingStore::Counts::counter_of(std::int64_t limit_id, std::string_view key) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  const std::uint64_t hash =
      std::hash<std::string_view>{}(key) ^ (static_cast<std::uint64_t>(limit_id) * kOdd);
  const std::uint32_t tag = policyd::HashIndex::tag_of(hash);
  const std::uint32_t found = index_.find(tag, [&](std::uint32_t number) {
    return all[number].limit_id == limit_id && all[number].key == key;
  });
  if (found != policyd::HashIndex::kNone) return all[found];
  TriedCounter& made = all.emplace_back();
  made.limit_id = limit_id;
  made.key = key;
  made.number = static_cast<std::uint32_t>(all.size() - 1);
  index_.insert(tag, made.number);
  return made;
}

// All counters of this transaction are of `all`.
void CountingStore::Counts::changed(policyd::Counter& counter, double units) {
  auto& tried = static_cast<TriedCounter&>(counter);
  counter.exists = true;
  if (units <= 0) return;
  tried.units += units;
  ++tried.times;
  if (counter.value > tried.peak) {
    tried.peak = counter.value;
    tried.peak_at = time;
  }
}

}  // namespace limits
