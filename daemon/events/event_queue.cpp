// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event_queue.hpp"

#include <functional>
#include <string>
#include <utility>

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

Event EventQueue::Batch::take_oldest() {
  Noted& noted = events_.oldest();
  Event event = std::move(noted.event);
  if (noted.client) event.client = noted.client->to_short_string();
  events_.drop_oldest();
  return event;
}

std::unique_ptr<EventQueue::Batch> EventQueue::take() {
  add_up();
  return std::move(batch_);
}

// What the batch holds of mail and is not in the sums yet; the oldest first, for RefusedCounters.
void EventQueue::add_up() {
  for (std::size_t left = size(); left > 0; --left) {
    Batch::Noted& noted = batch_->events_.oldest();
    batch_->events_.keep_oldest();  // all of them: the order stays
    const Event& event = noted.event;
    const std::uint64_t times = event.times - std::exchange(noted.added_up, event.times);
    if (!noted.client || times == 0) continue;
    add_up(
        {event.kind, event.module, event.row_id, event.track_key, event.verdict, noted.listed_as},
        event.last, times);
  }
}

void EventQueue::add_up(What what, TimePoint last, std::uint64_t times) {
  if (what.listed_as != 0) what.row_id = what.listed_as;
  add_to_totals(what, times);
  const bool has_counter = what.module == "Quotas" || what.module == "Accounting";
  if (what.kind == EventKind::refused && has_counter) {
    refused_counters_.note(what.module, what.row_id, cut(what.track_key, Event::kMaxKey), last,
                           times);
  }
}

void EventQueue::add_to_totals(const What& what, std::uint64_t times) {
  const std::size_t hash = hash_of({what.kind, {}, what.row_id, what.verdict, {}}, {});
  const auto is_it = [&](const Total& total) {
    return total.kind == what.kind && total.row_id == what.row_id &&
           total.verdict == what.verdict && total.module == what.module;
  };
  Total* total = totals_.find(hash, is_it);
  constexpr std::string_view kOther = "other";
  if (total == nullptr && totals_.size() >= kMaxTotals && what.module != kOther) {
    return add_to_totals({what.kind, kOther, 0, {}, {}}, times);  // few: one of each kind
  }
  if (total == nullptr) {
    total = &totals_.add(hash);
    *total = {what.kind, std::string{what.module}, what.row_id, std::string{what.verdict}, 0};
  }
  total->times += times;
}

// The event of this counter and minute, with this one counted; null if there is no room for it.
EventQueue::Batch::Noted* EventQueue::fold(const What& what, TimePoint now) {
  if (!batch_) batch_ = std::make_unique<Batch>();
  const std::string_view key = cut(what.track_key, Event::kMaxKey);
  const std::size_t hash = hash_of({what.kind, what.module, what.row_id, key, what.verdict}, now);
  Batch::Noted* known = batch_->events_.find(hash, [&](const Batch::Noted& noted) {
    const Event& event = noted.event;
    return event.row_id == what.row_id && event.kind == what.kind && event.track_key == key &&
           event.verdict == what.verdict && event.module == what.module &&
           event_minute(event.first) == event_minute(now);
  });
  if (known != nullptr) {
    ++known->event.times;
    known->event.last = now;
    return known;
  }
  if (batch_->size() >= capacity_) {
    ++batch_->lost_;
    return nullptr;
  }
  Batch::Noted& noted = batch_->events_.add(hash);
  Event& event = noted.event;
  event.kind = what.kind;
  event.module = what.module;
  event.row_id = what.row_id;
  event.track_key = key;
  event.verdict = what.verdict;
  event.first = event.last = now;
  noted.listed_as = what.listed_as;
  return &noted;
}

Event* EventQueue::note(const What& what, TimePoint now) {
  Batch::Noted* noted = fold(what, now);
  return noted != nullptr && noted->event.times == 1 ? &noted->event : nullptr;
}

Event* EventQueue::note(const What& what, const Request& about, TimePoint now) {
  Batch::Noted* noted = fold(what, now);
  if (noted == nullptr) {
    add_up(what, now, 1);
    return nullptr;
  }
  Event& event = noted->event;
  noted->client = about.client_address;
  event.login = cut(about.sasl_username.value_or(std::string_view{}), Event::kMaxText);
  event.sender = cut(about.sender, Event::kMaxText);
  event.recipient = cut(about.recipient, Event::kMaxText);
  return event.times == 1 ? &event : nullptr;
}

}  // namespace policyd
