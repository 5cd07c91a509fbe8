// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/applied_limits.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "daemon/counting/decay.hpp"
#include "daemon/modules/message/recipient_hash.hpp"

namespace policyd {

namespace {

static_assert(DistinctRecipients::kMax == kMaxDistinctRecipients);

double in_kib(std::uint64_t bytes) { return std::ceil(static_cast<double>(bytes) / 1024.0); }

// A limit that can never hold that much: its period, then.
Millis or_period(std::optional<Millis> wait, const Quota& quota) {
  return std::max(Millis{0}, wait.value_or(period_of(quota)));
}

// What is changed without asking, the others learn within a tenth of a second. A recipient that
// leaves this soon counts as a new one, so that they do not let it go meanwhile.
Millis told_within(const Question& question, Millis period) {
  return question.shared == nullptr ? Millis{0} : std::min(Millis{1'000}, period / 10);
}

bool is_known_recipient(const Question& question, const AppliedLimit& applied) {
  const Counter& counter = *applied.counter;
  const auto last = counter.recipients.last_use(
      counter.window, recipient_hash(applied.recipient, question.extensions));
  const Millis period = period_of(*applied.quota);
  return last && question.store.now() - *last < period - told_within(question, period);
}

void count_recipient(const Question& question, const AppliedLimit& applied) {
  Counter& counter = *applied.counter;
  const std::uint64_t hash = recipient_hash(applied.recipient, question.extensions);
  const TimePoint now = question.store.now();
  if (applied.units == 0) {
    counter.recipients.renew(counter.window, hash, now, counter.period);
  } else {
    counter.recipients.add(counter.window, hash, now, counter.period);
  }
}

// After the clock was set back, what was counted in the future counts as now. That is stored even
// if this mail is refused; otherwise each restart would hold it for another period.
void settle(Question& question, Counter& counter, double use, Millis period, bool windowed) {
  const double now_s = to_seconds(question.store.now());
  if (!counter.exists || counter.last_update_s <= now_s) return;
  counter.value = use;
  counter.last_update_s = now_s;
  counter.windowed = windowed;
  counter.period = period;
  question.store.changed(counter, 0);
}

// Of a question whose others are known.
Window window_of_all(const AppliedLimit& applied) {
  Window all = applied.counter->window;
  all.merge(*applied.shared.others);
  return all;
}

}  // namespace

Millis period_of(const Quota& quota) { return std::chrono::seconds{quota.period_s}; }

bool is_counted_already(const AppliedLimit& applied) {
  const LimitType type = applied.limit->type;
  return (type == LimitType::messages || type == LimitType::distinct_recipients) &&
         applied.asked == 0;
}

void AppliedLimits::begin() {
  keys_.clear();
  counted_.clear();
  shared_.begin();
}

AppliedLimit AppliedLimits::apply(Question& question, const Request& about, const Policy& policy,
                                  const Quota& quota, const QuotaLimit& limit) {
  const std::size_t key_begin = keys_.size();
  append_track_key(keys_, *quota.track.for_request(about), about, question.extensions);
  const std::size_t key_size = keys_.size() - key_begin;
  AppliedLimit applied{&policy, &quota, &limit, key_begin, key_size, about.recipient};
  if (is_of_each_message(limit.type)) return applied;
  Counter& counter = question.store.counter(limit.id, key_of(applied));
  const Millis period = period_of(quota);
  const TimePoint now = question.store.now();
  double use = 0;
  const bool windowed = is_windowed(limit);
  if (windowed) {
    counter.window.advance(now, period);
    use = static_cast<double>(counter.window.use());
    settle(question, counter, use, period, windowed);
  } else {
    settle(question, counter, counter.value, period, windowed);
    use = decayed(counter.value, counter.last_update_s, to_seconds(now),
                  static_cast<double>(quota.period_s));
  }
  applied.counter = &counter;
  applied.shared = shared_.part_of(question, limit.id, key_of(applied), period);
  applied.use = use + applied.shared.use();
  return applied;
}

double AppliedLimits::earlier(const RcptQuestion& question, const AppliedLimit& applied,
                              Earlier which, double enough) {
  if (question.session == nullptr) return 0;
  constexpr auto kMax = static_cast<double>(Session::kMaxRecipients);
  const EarlierQuestion earlier_question{*question.session,
                                         question.extensions,
                                         which,
                                         question.rules.version,
                                         applied.policy->id,
                                         applied.quota->id,
                                         *applied.quota->track.for_request(question.request),
                                         key_of(applied)};
  return static_cast<double>(earlier_recipients(
      earlier_question, static_cast<std::size_t>(std::ceil(std::min(enough, kMax))), other_key_));
}

void AppliedLimits::set_amounts(const RcptQuestion& question, AppliedLimit& applied) {
  // As far as Postfix knows it yet.
  const auto size = [&] { return std::max(1.0, in_kib(question.request.size_bytes)); };
  switch (applied.limit->type) {
    case LimitType::message_count:
      applied.units = applied.asked = 1;
      return;
    case LimitType::message_cumulative_size:
      applied.asked = size();
      return;
    case LimitType::messages:
      applied.units = applied.asked = 1 - earlier(question, applied, Earlier::counted, 1);
      return;
    case LimitType::recipients_per_message:
      applied.use = earlier(question, applied, Earlier::let_through, applied.limit->counter_limit);
      applied.asked = 1;
      return;
    case LimitType::size_per_message:
      applied.use = size();
      return;
    case LimitType::distinct_recipients:
      applied.units = applied.asked = is_known_recipient(question, applied) ? 0 : 1;
      return;
  }
}

void AppliedLimits::set_amounts(const MessageQuestion& question, AppliedLimit& applied) {
  const double size = in_kib(question.request.size_bytes);
  if (applied.counter == nullptr) {
    applied.use = size;
  } else {
    applied.units = applied.asked = size;
  }
}

bool AppliedLimits::is_unusable(const AppliedLimit& applied) {
  return applied.limit->counter_limit <= 0 ||
         (applied.quota->period_s == 0 && applied.counter != nullptr && applied.counter->exists);
}

bool AppliedLimits::exceeds(const Question& question, const AppliedLimit& applied,
                            bool bites) const {
  const double limit = applied.limit->counter_limit;
  if (applied.counter == nullptr) return applied.use + applied.asked > limit;
  // It may have been counted while this question waited: then what the others refused, it is.
  if (is_counted_already(applied)) {
    return question.granted != nullptr && applied.shared.wanted >= 0 &&
           applied.shared.wanted == question.granted->exceeded;
  }
  if (!is_windowed(*applied.limit)) return decay_exceeded(applied.use, limit);
  return SharedLimits::exceeds(question, applied.shared, applied.use, applied.asked, limit, bites);
}

Millis AppliedLimits::retry_after(const Question& question, const AppliedLimit& applied) const {
  if (applied.counter == nullptr) return Millis{0};  // another message may pass now
  const TimePoint now = question.store.now();
  const Quota& quota = *applied.quota;
  if (is_windowed(*applied.limit)) {
    const double limit =
        SharedLimits::limit_of(question, applied.shared, applied.limit->counter_limit);
    const auto free_at_of = [&](const Window& window) {
      return window.free_at(period_of(quota), static_cast<std::uint64_t>(limit),
                            static_cast<std::uint64_t>(applied.asked));
    };
    const auto free_at = applied.shared.others == nullptr ? free_at_of(applied.counter->window)
                                                          : free_at_of(window_of_all(applied));
    return or_period(free_at ? std::optional{*free_at - now} : std::nullopt, quota);
  }
  const auto free_at_s =
      decay_free_at_s(applied.counter->value, applied.counter->last_update_s,
                      static_cast<double>(quota.period_s), applied.limit->counter_limit);
  if (!free_at_s) return or_period(std::nullopt, quota);
  // A counter edited by hand may hold any time.
  const double wait_s = std::clamp(*free_at_s - to_seconds(now), 0.0, 1e9);
  return Millis{static_cast<std::int64_t>(wait_s * 1000)};
}

void AppliedLimits::count(const Question& question, AppliedLimit& applied) const {
  Counter& counter = *applied.counter;
  counter.windowed = is_windowed(*applied.limit);
  counter.period = period_of(*applied.quota);
  const TimePoint now = question.store.now();
  if (counter.windowed) {
    if (applied.limit->type == LimitType::distinct_recipients) {
      count_recipient(question, applied);
    } else {
      counter.recipients.clear();  // of a row whose Type was another
      counter.window.add(now, counter.period, static_cast<std::uint64_t>(applied.units));
    }
    counter.value = static_cast<double>(counter.window.use());
  } else {
    counter.value = decay_stored(counter.value, applied.use, applied.units);
  }
  counter.last_update_s = to_seconds(now);
  question.store.changed(counter, applied.units);
}

// Several recipients may share a counter; about the size of a message one of them says all.
bool AppliedLimits::contains(const AppliedLimit& applied) const {
  return std::any_of(counted_.begin(), counted_.end(), [&](const AppliedLimit& other) {
    return other.counter == applied.counter &&
           (applied.counter != nullptr || other.limit == applied.limit);
  });
}

}  // namespace policyd
