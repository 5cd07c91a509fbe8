// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_queue.hpp"

#include <functional>
#include <string>

namespace policyd {
namespace {

std::chrono::sys_time<std::chrono::minutes> event_minute(TimePoint time) {
  return std::chrono::floor<std::chrono::minutes>(time);
}

std::size_t hash_of(const EventQueue::What& what, TimePoint now) {
  constexpr std::size_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;
  std::size_t hash = std::hash<std::string_view>{}(what.track_key);
  for (const std::size_t part :
       {static_cast<std::size_t>(what.row_id), static_cast<std::size_t>(what.kind),
        static_cast<std::size_t>(event_minute(now).time_since_epoch().count())}) {
    hash = (hash ^ part) * kGoldenRatio;
  }
  return hash ^ (hash >> 32U);
}

}  // namespace

void EventQueue::add_to_totals(const What& what) {
  const std::size_t hash = hash_of({what.kind, {}, what.row_id, what.verdict, {}}, {});
  const auto is_it = [&](const Total& total) {
    return total.kind == what.kind && total.row_id == what.row_id &&
           total.verdict == what.verdict && total.module == what.module;
  };
  Total* total = totals_.find(hash, is_it);
  constexpr std::string_view kOther = "other";
  if (total == nullptr && totals_.size() >= kMaxTotals && what.module != kOther) {
    return add_to_totals({what.kind, kOther, 0, {}, {}});  // few: one of each kind
  }
  if (total == nullptr) {
    total = &totals_.add(hash);
    *total = {what.kind, std::string{what.module}, what.row_id, std::string{what.verdict}, 0};
  }
  ++total->times;
}

// The event of this counter and minute, with this one counted; null if there is no room for it.
Event* EventQueue::fold(const What& what, TimePoint now) {
  if (!batch_) batch_ = std::make_unique<Batch>();
  const std::string_view key = cut(what.track_key, Event::kMaxKey);
  const std::size_t hash = hash_of({what.kind, what.module, what.row_id, key, what.verdict}, now);
  Event* known = batch_->events.find(hash, [&](const Event& event) {
    return event.row_id == what.row_id && event.kind == what.kind && event.track_key == key &&
           event.verdict == what.verdict && event.module == what.module &&
           event_minute(event.first) == event_minute(now);
  });
  if (known != nullptr) {
    ++known->times;
    known->last = now;
    return known;
  }
  if (batch_->events.size() >= capacity_) {
    ++batch_->lost;
    return nullptr;
  }
  Event& event = batch_->events.add(hash);
  event.kind = what.kind;
  event.module = what.module;
  event.row_id = what.row_id;
  event.track_key = key;
  event.verdict = what.verdict;
  event.first = event.last = now;
  return &event;
}

Event* EventQueue::note(const What& what, TimePoint now) {
  Event* event = fold(what, now);
  return event != nullptr && event->times == 1 ? event : nullptr;
}

Event* EventQueue::note(const What& what, const Request& about, TimePoint now) {
  add_to_totals(what);
  const bool has_counter = what.module == "Quotas" || what.module == "Accounting";
  if (what.kind == EventKind::refused && has_counter) {
    refused_counters_.note(what.module, what.row_id, cut(what.track_key, Event::kMaxKey), now);
  }
  Event* event = fold(what, now);
  if (event == nullptr) return nullptr;
  event->client = about.client_address.to_short_string();
  event->login = cut(about.sasl_username.value_or(std::string_view{}), Event::kMaxText);
  event->sender = cut(about.sender, Event::kMaxText);
  event->recipient = cut(about.recipient, Event::kMaxText);
  return event->times == 1 ? event : nullptr;
}

}  // namespace policyd
