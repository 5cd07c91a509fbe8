// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/quotas.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "daemon/base/ascii.hpp"
#include "daemon/counting/decay.hpp"
#include "daemon/modules/message/earlier_recipients.hpp"
#include "daemon/modules/message/recipient_hash.hpp"
#include "daemon/modules/text/mail_line.hpp"
#include "daemon/modules/text/quota_text.hpp"

namespace policyd {

namespace {

double kib(std::uint64_t bytes) { return std::ceil(static_cast<double>(bytes) / 1024.0); }

Millis period_of(const Quota& quota) { return std::chrono::seconds{quota.period_s}; }

// A limit that can never hold that much: its period, then.
Millis or_period(std::optional<Millis> wait, const Quota& quota) {
  return std::max(Millis{0}, wait.value_or(period_of(quota)));
}

// Whether it can refuse, or only monitors.
bool bites(const Question& question, const Quota& quota) {
  return !question.paused && quota.verdict.kind != RowVerdict::Kind::none;
}

double size_at_rcpt(const Request& request) { return std::max(1.0, kib(request.size_bytes)); }

// Whether it is asked at END-OF-MESSAGE, too, once the true size is known.
bool limits_size(const QuotaLimit& limit) { return is_size(limit.type) && limit.counter_limit > 0; }

// Which the Perl daemon counts, too.
bool is_of_perl(LimitType type) {
  return type == LimitType::message_count || type == LimitType::message_cumulative_size;
}

bool is_distinct(const QuotaLimit& limit) { return limit.type == LimitType::distinct_recipients; }

// A message by its first recipient, a recipient by an earlier message.
bool is_counted_already(const QuotaLimit& limit, double asked) {
  return (limit.type == LimitType::messages || is_distinct(limit)) && asked == 0;
}

static_assert(DistinctRecipients::kMax == kMaxDistinctRecipients);

// What is changed without asking, the others learn within a tenth of a second. A recipient that
// leaves this soon counts as a new one, so that they do not let it go meanwhile.
Millis told_within(const Question& question, Millis period) {
  return question.shared == nullptr ? Millis{0} : std::min(Millis{1'000}, period / 10);
}

constexpr auto kLargestLimit = static_cast<double>(Window::kMaxUnits);

}  // namespace

bool Quotas::is_unusable(const Touched& touched) {
  return touched.limit->counter_limit <= 0 ||
         (touched.quota->period_s == 0 && touched.counter != nullptr && touched.counter->exists);
}

void Quotas::set_amounts(const RcptQuestion& question, Touched& touched, double size) {
  const auto earlier = [&](Earlier which, double enough) -> double {
    if (question.session == nullptr) return 0;
    constexpr auto kMost = static_cast<double>(Session::kMaxRecipients);
    const EarlierQuestion earlier_question{*question.session,
                                           question.extensions,
                                           which,
                                           question.rules.version,
                                           touched.policy->id,
                                           touched.quota->id,
                                           *touched.quota->track.for_request(question.request),
                                           key_of(touched)};
    return static_cast<double>(earlier_recipients(
        earlier_question, static_cast<std::size_t>(std::ceil(std::min(enough, kMost))),
        other_key_));
  };
  switch (touched.limit->type) {
    case LimitType::message_count:
      touched.units = touched.asked = 1;
      return;
    case LimitType::message_cumulative_size:
      touched.asked = size;
      return;
    case LimitType::messages:
      touched.units = touched.asked = 1 - earlier(Earlier::counted, 1);
      return;
    case LimitType::recipients_per_message:
      touched.use = earlier(Earlier::let_through, touched.limit->counter_limit);
      touched.asked = 1;
      return;
    case LimitType::size_per_message:
      touched.use = size;
      return;
    case LimitType::distinct_recipients:
      touched.units = touched.asked = is_known(question, touched) ? 0 : 1;
      return;
  }
}

bool Quotas::is_known(const Question& question, const Touched& touched) {
  const Counter& counter = *touched.counter;
  const auto last = counter.recipients.last_use(
      counter.window, recipient_hash(touched.recipient, question.extensions));
  const Millis period = period_of(*touched.quota);
  return last && question.store.now() - *last < period - told_within(question, period);
}

void Quotas::set_size(const MessageQuestion& question, Touched& touched) {
  const double size = kib(question.request.size_bytes);
  if (touched.counter == nullptr) {
    touched.use = size;
  } else {
    touched.units = touched.asked = size;
  }
}

// Several recipients may share a counter; about the size of a message one of them says all.
bool Quotas::is_touched(const Touched& touched) const {
  return std::any_of(touched_.begin(), touched_.end(), [&](const Touched& other) {
    return other.counter == touched.counter &&
           (touched.counter != nullptr || other.limit == touched.limit);
  });
}

// In a pause the row is left out, so that the others count.
Quotas::Walk Quotas::refuse_row(Question& question, const Quota& quota, std::string_view problem) {
  if (question.paused) return Walk::next;
  errors_.refuse(question, "Quotas", fmt::format("quota={}: {}", quota.id, problem));
  return Walk::refuse;
}

void Quotas::begin() {
  keys_.clear();
  touched_.clear();
  shared_.begin();
}

bool Quotas::may_ask(const Question& question) const {
  return windowed_ && question.shared != nullptr && question.granted == nullptr &&
         !question.counted_before_crash;
}

// False if the limit refuses without asking.
bool Quotas::want(Question& question, const Touched& touched) const {
  const bool biting = bites(question, *touched.quota);
  // Others have nothing to say about one message, nor about what is counted already.
  if (touched.counter == nullptr || is_counted_already(*touched.limit, touched.asked)) {
    return !(biting && exceeds(question, touched));
  }
  if (biting && touched.use + touched.asked > touched.limit->counter_limit) return false;
  const double limit = std::min(touched.limit->counter_limit, kLargestLimit);
  question.wanted.push_back({touched.limit->id, std::string{key_of(touched)},
                             touched.counter->window, period_of(*touched.quota),
                             static_cast<std::uint64_t>(limit),
                             static_cast<std::uint64_t>(touched.units),
                             static_cast<std::uint64_t>(touched.asked), biting});
  return true;
}

// Where a row is invalid, or a limit refuses anyway, there is nothing to ask.
bool Quotas::has_to_ask(RcptQuestion& question) {
  if (!may_ask(question)) return false;
  begin();
  const double size = size_at_rcpt(question.request);
  const Walk walk = each_quota(question, [&](const Policy& policy, const Quota& quota) {
    if (quota.track.for_request(question.request) == nullptr) return Walk::refuse;
    for (const QuotaLimit& limit : quota.limits) {
      Touched touched = touch(question, question.request, policy, quota, limit);
      if (is_unusable(touched)) return Walk::refuse;
      set_amounts(question, touched, size);
      if (!want(question, touched)) return Walk::refuse;
    }
    return quota.last ? Walk::count_now : Walk::next;
  });
  return walk != Walk::refuse && !question.wanted.empty();
}

bool Quotas::has_to_ask(MessageQuestion& question) {
  if (!may_ask(question)) return false;
  begin();
  const Walk walk = each_quota(
      question, [&](const Request& about, bool, const Policy& policy, const Quota& quota) {
        if (quota.track.for_request(about) == nullptr) return Walk::next;
        for (const QuotaLimit& limit : quota.limits) {
          if (!limits_size(limit)) continue;
          Touched touched = touch(question, about, policy, quota, limit);
          if (is_touched(touched)) continue;
          set_size(question, touched);
          touched_.push_back(touched);
          if (!want(question, touched)) return Walk::refuse;
        }
        return quota.last ? Walk::count_now : Walk::next;
      });
  return walk != Walk::refuse && !question.wanted.empty();
}

// Calls visit(policy, quota) for each quota that applies, as long as it returns Walk::next, and
// returns what it returned last.
template <typename Visit>
Quotas::Walk Quotas::each_quota(const RcptQuestion& question, Visit visit) {
  for (const std::uint32_t index : question.policies) {
    const Policy& policy = question.rules.policies[index];
    for (const Quota& quota : policy.quotas) {
      const Walk walk = visit(policy, quota);
      if (walk != Walk::next) return walk;
    }
  }
  return Walk::next;
}

Next Quotas::decide_rcpt(RcptQuestion& question) {
  question.reached_quotas = true;
  if (has_to_ask(question)) return Next::wait;
  if (question.granted != nullptr && question.granted->defer) return SharedLimits::defer(question);
  begin();
  Counted counted;
  counted.rules_version = question.rules.version;
  const Walk walk = each_quota(question, [&](const Policy& policy, const Quota& quota) {
    const Walk after = collect_rcpt(question, policy, quota);
    if (after == Walk::count_now) {
      counted.last_policy = policy.id;
      counted.last_quota = quota.id;
    }
    return after;
  });
  if (walk == Walk::next || walk == Walk::count_now) {
    question.counted = counted;
    count(question);
  }
  return walk == Walk::refuse ? Next::stop : Next::go_on;
}

// All limits of one quota; the last exceeded one gives the answer.
Quotas::Walk Quotas::collect_rcpt(RcptQuestion& question, const Policy& policy,
                                  const Quota& quota) {
  if (quota.track.for_request(question.request) == nullptr) {
    return refuse_row(question, quota, quota.track.error().message);
  }
  const double size = size_at_rcpt(question.request);
  std::optional<Touched> exceeded_by;
  for (const QuotaLimit& limit : quota.limits) {
    Touched touched = touch(question, question.request, policy, quota, limit);
    if (is_unusable(touched)) {
      return refuse_row(question, quota,
                        fmt::format("limit {}: CounterLimit or Period is invalid", limit.id));
    }
    set_amounts(question, touched, size);
    if (exceeds(question, touched) && !question.counted_before_crash) exceeded_by = touched;
    // With `window` a size is counted once it is known, at END-OF-MESSAGE.
    if (touched.units > 0 || is_distinct(limit) || (!windowed_ && is_of_perl(limit.type))) {
      touched_.push_back(touched);
    }
  }
  if (exceeded_by) {
    const Walk walk = exceeded(question, *exceeded_by);
    if (walk != Walk::next) return walk;
  }
  return quota.last ? Walk::count_now : Walk::next;
}

Quotas::Touched Quotas::touch(Question& question, const Request& about, const Policy& policy,
                              const Quota& quota, const QuotaLimit& limit) {
  const std::size_t key_begin = keys_.size();
  append_track_key(keys_, *quota.track.for_request(about), about, question.extensions);
  const std::size_t key_size = keys_.size() - key_begin;
  Touched touched{&policy, &quota, &limit, key_begin, key_size, about.recipient, nullptr, 0, 0, 0};
  if (is_of_each_message(limit.type)) return touched;
  Counter& counter =
      question.store.counter(limit.id, std::string_view{keys_}.substr(key_begin, key_size));
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
  touched.counter = &counter;
  touched.shared = shared_.part_of(question, limit.id, key_of(touched), period);
  touched.use = use + touched.shared.use();
  return touched;
}

// After the clock was set back, what was counted in the future counts as now. That is stored even
// if this mail is refused; otherwise each restart would hold it for another period.
void Quotas::settle(Question& question, Counter& counter, double use, Millis period,
                    bool windowed) {
  const double now_s = to_seconds(question.store.now());
  if (!counter.exists || counter.last_update_s <= now_s) return;
  counter.value = use;
  counter.last_update_s = now_s;
  counter.windowed = windowed;
  counter.period = period;
  question.store.changed(counter, 0);
}

// Of a question whose others are known.
Window Quotas::window_of_all(const Touched& touched) {
  Window all = touched.counter->window;
  all.merge(*touched.shared.others);
  return all;
}

bool Quotas::exceeds(const Question& question, const Touched& touched) const {
  const double limit = touched.limit->counter_limit;
  if (touched.counter == nullptr) return touched.use + touched.asked > limit;
  // It may have been counted while this question waited: then what the others refused, it is.
  if (is_counted_already(*touched.limit, touched.asked)) {
    return question.granted != nullptr && touched.shared.wanted >= 0 &&
           touched.shared.wanted == question.granted->exceeded;
  }
  if (!is_windowed(*touched.limit)) return decay_exceeded(touched.use, limit);
  return SharedLimits::exceeds(question, touched.shared, touched.use, touched.asked, limit,
                               bites(question, *touched.quota));
}

// How long until this limit would let the same mail pass, if no other mail came.
Millis Quotas::retry_after(const Question& question, const Touched& by) const {
  if (by.counter == nullptr) return Millis{0};  // another message may pass now
  const TimePoint now = question.store.now();
  if (is_windowed(*by.limit)) {
    const double limit = SharedLimits::limit_of(question, by.shared, by.limit->counter_limit);
    const auto free_at_of = [&](const Window& window) {
      return window.free_at(period_of(*by.quota), static_cast<std::uint64_t>(limit),
                            static_cast<std::uint64_t>(by.asked));
    };
    const auto free_at = by.shared.others == nullptr ? free_at_of(by.counter->window)
                                                     : free_at_of(window_of_all(by));
    return or_period(free_at ? std::optional{*free_at - now} : std::nullopt, *by.quota);
  }
  const auto free_at_s =
      decay_free_at_s(by.counter->value, by.counter->last_update_s,
                      static_cast<double>(by.quota->period_s), by.limit->counter_limit);
  if (!free_at_s) return or_period(std::nullopt, *by.quota);
  // A counter edited by hand may hold any time.
  const double wait_s = std::clamp(*free_at_s - to_seconds(now), 0.0, 1e9);
  return Millis{static_cast<std::int64_t>(wait_s * 1000)};
}

std::string Quotas::answer_of(const Question& question, const Touched& by) const {
  if (!has_placeholders(*by.quota)) return quota_answer(*by.quota, *by.limit);
  return quota_answer(*by.quota, *by.limit, by.use, retry_after(question, by));
}

// Applies the quota's Verdict to an exceeded limit.
Quotas::Walk Quotas::exceeded(Question& question, const Touched& by) {
  const Quota& quota = *by.quota;
  const bool none = quota.verdict.kind == RowVerdict::Kind::none;
  const auto set_reason = [&](Reason::Kind kind) {
    question.reason.kind = kind;
    question.reason.row_id = quota.id;
    question.reason.limit_id = by.limit->id;
  };
  const auto log_end = [&] {
    if (!question.log.mail_enabled()) return;
    question.log.mail(mail_line("Quotas", "action=none", question.request, by.recipient,
                                word_of(question.reason.kind)));
  };
  const auto log = [&](std::string_view action) {
    if (!question.log.mail_enabled()) return;
    line_.clear();
    append_quota_line(
        line_, {fmt::format("action={}", action), word_of(question.reason.kind), question.request,
                by.recipient, *by.policy, quota, *by.limit, key_of(by), by.use});
    question.log.mail(line_);
  };
  const auto observe = [&](EventKind kind, std::string_view verdict) {
    note(question, by, kind, verdict, by.use);
  };
  if (question.paused) {
    const std::string_view verdict =
        quota.verdict.is_for_limits() ? name_of(quota.verdict.action) : "defer";
    observe(none ? EventKind::watched : EventKind::let_through, none ? "none" : verdict);
    set_reason(Reason::Kind::paused);
    log("none");
    return Walk::next;
  }
  if (none) {
    observe(EventKind::watched, "none");
    set_reason(Reason::Kind::no_verdict);
    if (!windowed_) {
      log_end();
      return Walk::count_nothing;
    }
    // With `window` a quota without a verdict only monitors: it logs what it would have refused.
    log("none");
    return Walk::next;
  }
  set_reason(Reason::Kind::quota_match);
  if (!quota.verdict.is_for_limits()) {
    std::string word = quota.verdict.text;
    lower_case(word);
    log(word);
    set_reason(Reason::Kind::invalid_verdict);
    log_end();
    return refuse_row(question, quota,
                      describe_invalid_value("quotas", "Verdict", quota.verdict.text));
  }
  // With `decay` they are answered as the Perl daemon does, and Postfix lets the mail pass.
  if (windowed_ && !quota.verdict.data_fits) {
    observe(EventKind::refused, "defer");
    log("defer");
    refuse_row(question, quota, describe_unfit_data(quota.verdict.text, quota.data));
    return Walk::refuse;
  }
  observe(EventKind::refused, name_of(quota.verdict.action));
  log(name_of(quota.verdict.action));
  question.verdict = {quota.verdict.action, answer_of(question, by)};
  return Walk::refuse;
}

void Quotas::note(const Question& question, const Touched& by, EventKind kind,
                  std::string_view verdict, double used) const {
  if (question.events == nullptr) return;
  const TimePoint now = question.store.now();
  Event* event = question.events->note({kind, "Quotas", by.limit->id, key_of(by), verdict},
                                       question.request, now);
  if (event == nullptr) return;  // known already
  event->recipient = cut(by.recipient, Event::kMaxText);
  event->used = used;
  event->limit = by.limit->counter_limit;
  if (kind != EventKind::near && by.counter != nullptr) {
    event->free_at = now + retry_after(question, by);
  }
}

void Quotas::count(Question& question) {
  if (question.counted_before_crash) return;
  if (question.granted != nullptr) question.granted->counted = true;
  const bool unknown_to_others = SharedLimits::is_unknown_to_others(question);
  const TimePoint now = question.store.now();
  for (Touched& touched : touched_) {
    if (touched.counter == nullptr) continue;
    Counter& counter = *touched.counter;
    const bool created = !counter.exists;
    const bool distinct = is_distinct(*touched.limit);
    counter.windowed = is_windowed(*touched.limit);
    counter.period = period_of(*touched.quota);
    if (counter.windowed) {
      if (distinct) {
        count_recipient(question, touched);
      } else {
        counter.recipients.clear();  // of a row whose Type was another
        counter.window.add(now, counter.period, static_cast<std::uint64_t>(touched.units));
      }
      counter.value = static_cast<double>(counter.window.use());
    } else {
      counter.value = decay_stored(counter.value, touched.use, touched.units);
    }
    counter.last_update_s = to_seconds(now);
    question.store.changed(counter, touched.units);
    const double used = touched.use + touched.units;
    if (question.events != nullptr &&
        question.events->is_near(touched.use, used, touched.limit->counter_limit)) {
      note(question, touched, EventKind::near, {}, used);
    }
    // Of a recipient that was a known one, then or by now.
    const bool not_asked = distinct && (touched.units == 0 || touched.shared.wanted < 0);
    if (question.shared != nullptr && (unknown_to_others || not_asked)) {
      question.shared->changed(touched.limit->id, key_of(touched), counter.window, counter.period);
    }
    if (question.log.mail_enabled()) log_count(question, touched, created);
  }
}

void Quotas::count_recipient(const Question& question, const Touched& touched) {
  Counter& counter = *touched.counter;
  const std::uint64_t hash = recipient_hash(touched.recipient, question.extensions);
  const TimePoint now = question.store.now();
  if (touched.units == 0) {
    counter.recipients.renew(counter.window, hash, now, counter.period);
  } else {
    counter.recipients.add(counter.window, hash, now, counter.period);
  }
}

void Quotas::log_count(Question& question, const Touched& touched, bool created) {
  line_.clear();
  append_quota_line(
      line_, {created ? "mode=create" : "mode=update", created ? "quota_create" : "quota_update",
              question.request, touched.recipient, *touched.policy, *touched.quota, *touched.limit,
              key_of(touched), touched.counter->value});
  question.log.mail(line_);
}

// Calls visit(recipient, accepted, policy, quota) likewise; Walk::count_now ends the recipient.
template <typename Visit>
Quotas::Walk Quotas::each_quota(const MessageQuestion& question, Visit visit) {
  for (std::size_t i = 0; i < question.session.recipients(); ++i) {
    const SessionRecipient recipient = question.session.recipient(i);
    // Refused, or decided before Quotas (OK of AccessControl): not counted at RCPT, nor here.
    const bool accepted = !recipient.refuses() && recipient.reached_quotas;
    if (windowed_ && !accepted) continue;
    const Request about = question.session.request_for(recipient);
    bool last = false;
    for (const std::int64_t id : recipient.policies) {
      const auto index = question.rules.policy_by_id.find(id);
      if (index == question.rules.policy_by_id.end()) continue;
      const Policy& policy = question.rules.policies[index->second];
      for (const Quota& quota : policy.quotas) {
        const Walk walk = visit(about, accepted, policy, quota);
        if (walk == Walk::refuse) return walk;
        last = walk == Walk::count_now;
        if (last) break;
      }
      if (last) break;
    }
  }
  return Walk::next;
}

Next Quotas::decide_message(MessageQuestion& question) {
  if (has_to_ask(question)) return Next::wait;
  if (question.granted != nullptr && question.granted->defer) {
    SharedLimits::defer(question);
    give_back(question);
    return Next::stop;
  }
  begin();
  const Walk walk = each_quota(
      question, [&](const Request& about, bool accepted, const Policy& policy, const Quota& quota) {
        return collect_message(question, about, accepted, policy, quota);
      });
  if (walk != Walk::refuse) count(question);
  give_back(question);
  return walk == Walk::refuse ? Next::stop : Next::go_on;
}

// What the message has counted for nothing.
void Quotas::give_back(MessageQuestion& question) {
  if (!refunds_ || question.paused || question.counted_before_crash) return;
  refund_.give_back({question.request, question.rules, question.store, question.log,
                     question.session, question.extensions, question.shared,
                     question.verdict.refuses()});
}

Quotas::Walk Quotas::collect_message(MessageQuestion& question, const Request& recipient,
                                     bool accepted, const Policy& policy, const Quota& quota) {
  if (quota.track.for_request(recipient) == nullptr) {
    if (windowed_) return Walk::next;  // logged at RCPT, where it was refused
    return refuse_row(question, quota, quota.track.error().message);
  }
  std::optional<Touched> exceeded_by;
  for (const QuotaLimit& limit : quota.limits) {
    if (!limits_size(limit)) continue;
    Touched touched = touch(question, recipient, policy, quota, limit);
    set_size(question, touched);
    if (!windowed_ && touched.counter == nullptr) {
      if (!accepted) continue;
    } else if (!windowed_) {
      // The stored counter as it is, once for each recipient.
      if (!touched.counter->exists) continue;
      touched.use = touched.counter->value;
      touched_.push_back(touched);
      count(question);
      touched_.clear();
      continue;
    }
    if (is_touched(touched)) continue;
    if (exceeds(question, touched) && !question.counted_before_crash) exceeded_by = touched;
    touched_.push_back(touched);
  }
  if (exceeded_by && exceeded(question, *exceeded_by) == Walk::refuse) return Walk::refuse;
  return quota.last ? Walk::count_now : Walk::next;
}

}  // namespace policyd
