// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/active_counters.hpp"

#include <utility>
#include <vector>

namespace policyd {

Window ActiveCounter::part(TimePoint now) const {
  Window part = own;
  part.advance(now, period);
  part.add(now, period, allowed);
  return part;
}

ActiveCounter& ActiveCounters::open(std::string_view name) {
  const auto known = counters_.find(name);
  if (known != counters_.end()) return known->second;
  const auto at = counters_.try_emplace(std::string{name}).first;
  at->second.name = at->first;
  return at->second;
}

ActiveCounter* ActiveCounters::find(std::string_view name) {
  const auto at = counters_.find(name);
  return at == counters_.end() ? nullptr : &at->second;
}

const ActiveCounter* ActiveCounters::find(std::string_view name) const {
  const auto at = counters_.find(name);
  return at == counters_.end() ? nullptr : &at->second;
}

void ActiveCounters::release(ActiveCounter& counter) {
  if (counter.questions > 0 || counter.allowed > 0 || counter.call != 0 || counter.unwritten)
    return;
  counters_.erase(counters_.find(counter.name));
}

void ActiveCounters::set_unwritten(ActiveCounter& counter) {
  if (counter.unwritten) return;
  if (unwritten_.size() >= kMaxUnwritten) {
    overflow_ = true;
    return;
  }
  counter.unwritten = true;
  unwritten_.emplace_back(counter.name);
}

ActiveCounter* ActiveCounters::take_unwritten() {
  for (std::size_t left = unwritten_.size(); left > 0; --left) {
    std::string name = std::move(unwritten_.front());
    unwritten_.pop_front();
    ActiveCounter* counter = find(name);
    if (counter == nullptr || !counter->unwritten) continue;
    if (counter->call == 0) {
      counter->unwritten = false;
      return counter;
    }
    unwritten_.push_back(std::move(name));
  }
  return nullptr;
}

void ActiveCounters::drop_unsettled(ActiveCounter::Steady now) {
  std::vector<ActiveCounter*> dropped;
  for (auto& [name, counter] : counters_) {
    if (counter.allowed > 0 && now - counter.allowed_at >= kSettled) dropped.push_back(&counter);
  }
  for (ActiveCounter* counter : dropped) {
    counter->allowed = 0;
    set_unwritten(*counter);
    release(*counter);
  }
}

}  // namespace policyd
