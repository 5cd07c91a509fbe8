// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/quotas.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/ascii.hpp"
#include "daemon/modules/text/mail_line.hpp"
#include "daemon/modules/text/quota_text.hpp"

namespace policyd {

namespace {

// Whether it can refuse, or only monitors.
bool bites(const Question& question, const Quota& quota) {
  return !question.paused && quota.verdict.kind != RowVerdict::Kind::none;
}

// Whether it is asked at END-OF-MESSAGE, too, once the true size is known.
bool limits_size(const QuotaLimit& limit) { return is_size(limit.type) && limit.counter_limit > 0; }

// Which the Perl daemon counts, too.
bool is_of_perl(LimitType type) {
  return type == LimitType::message_count || type == LimitType::message_cumulative_size;
}

bool is_distinct(const QuotaLimit& limit) { return limit.type == LimitType::distinct_recipients; }

constexpr auto kLargestLimit = static_cast<double>(Window::kMaxUnits);

}  // namespace

// In a pause the row is left out, so that the others count.
Quotas::Walk Quotas::refuse_row(Question& question, const Quota& quota, std::string_view problem) {
  if (question.paused) return Walk::next;
  errors_.refuse(question, "Quotas", fmt::format("quota={}: {}", quota.id, problem));
  return Walk::refuse;
}

bool Quotas::may_ask(const Question& question) const {
  return applied_.is_windowed() && question.shared != nullptr && question.granted == nullptr &&
         !question.counted_before_crash;
}

// False if the limit refuses without asking.
bool Quotas::want(Question& question, const AppliedLimit& applied) const {
  const bool biting = bites(question, *applied.quota);
  // Others have nothing to say about one message, nor about what is counted already.
  if (applied.counter == nullptr || is_counted_already(applied)) {
    return !(biting && applied_.exceeds(question, applied, biting));
  }
  if (biting && applied.use + applied.asked > applied.limit->counter_limit) return false;
  const double limit = std::min(applied.limit->counter_limit, kLargestLimit);
  question.wanted.push_back({applied.limit->id, std::string{applied_.key_of(applied)},
                             applied.counter->window, period_of(*applied.quota),
                             static_cast<std::uint64_t>(limit),
                             static_cast<std::uint64_t>(applied.units),
                             static_cast<std::uint64_t>(applied.asked), biting});
  return true;
}

// Where a row is invalid, or a limit refuses anyway, there is nothing to ask.
bool Quotas::has_to_ask(RcptQuestion& question) {
  if (!may_ask(question)) return false;
  applied_.begin();
  const Walk walk = each_quota(question, [&](const Policy& policy, const Quota& quota) {
    if (quota.track.for_request(question.request) == nullptr) return Walk::refuse;
    for (const QuotaLimit& limit : quota.limits) {
      AppliedLimit applied = applied_.apply(question, question.request, policy, quota, limit);
      if (AppliedLimits::is_unusable(applied)) return Walk::refuse;
      applied_.set_amounts(question, applied);
      if (!want(question, applied)) return Walk::refuse;
    }
    return quota.last ? Walk::count_now : Walk::next;
  });
  return walk != Walk::refuse && !question.wanted.empty();
}

bool Quotas::has_to_ask(MessageQuestion& question) {
  if (!may_ask(question)) return false;
  applied_.begin();
  const Walk walk = each_quota(
      question, [&](const Request& about, bool, const Policy& policy, const Quota& quota) {
        if (quota.track.for_request(about) == nullptr) return Walk::next;
        for (const QuotaLimit& limit : quota.limits) {
          if (!limits_size(limit)) continue;
          AppliedLimit applied = applied_.apply(question, about, policy, quota, limit);
          if (applied_.contains(applied)) continue;
          AppliedLimits::set_amounts(question, applied);
          applied_.add(applied);
          if (!want(question, applied)) return Walk::refuse;
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
  applied_.begin();
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
  std::optional<AppliedLimit> exceeded_by;
  for (const QuotaLimit& limit : quota.limits) {
    AppliedLimit applied = applied_.apply(question, question.request, policy, quota, limit);
    if (AppliedLimits::is_unusable(applied)) {
      return refuse_row(question, quota,
                        fmt::format("limit {}: CounterLimit or Period is invalid", limit.id));
    }
    applied_.set_amounts(question, applied);
    if (applied_.exceeds(question, applied, bites(question, quota)) &&
        !question.counted_before_crash)
      exceeded_by = applied;
    // With `window` a size is counted once it is known, at END-OF-MESSAGE.
    if (applied.units > 0 || is_distinct(limit) ||
        (!applied_.is_windowed() && is_of_perl(limit.type))) {
      applied_.add(applied);
    }
  }
  if (exceeded_by) {
    const Walk walk = exceeded(question, *exceeded_by);
    if (walk != Walk::next) return walk;
  }
  return quota.last ? Walk::count_now : Walk::next;
}

std::string Quotas::answer_of(const Question& question, const AppliedLimit& by) const {
  if (!has_placeholders(*by.quota)) return quota_answer(*by.quota, *by.limit);
  return quota_answer(*by.quota, *by.limit, by.use, applied_.retry_after(question, by));
}

// Applies the quota's Verdict to an exceeded limit.
Quotas::Walk Quotas::exceeded(Question& question, const AppliedLimit& by) {
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
                by.recipient, *by.policy, quota, *by.limit, applied_.key_of(by), by.use});
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
    if (!applied_.is_windowed()) {
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
  if (applied_.is_windowed() && !quota.verdict.data_fits) {
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

void Quotas::note(const Question& question, const AppliedLimit& by, EventKind kind,
                  std::string_view verdict, double used) const {
  if (question.events == nullptr) return;
  const TimePoint now = question.store.now();
  Event* event = question.events->note(
      {kind, "Quotas", by.limit->id, applied_.key_of(by), verdict, by.quota->listed_as},
      question.request, now);
  if (event == nullptr) return;  // known already
  event->recipient = cut(by.recipient, Event::kMaxText);
  event->used = used;
  event->limit = by.limit->counter_limit;
  if (kind != EventKind::near && by.counter != nullptr) {
    event->free_at = now + applied_.retry_after(question, by);
  }
}

void Quotas::count(Question& question) {
  if (question.counted_before_crash) return;
  if (question.granted != nullptr) question.granted->counted = true;
  const bool unknown_to_others = SharedLimits::is_unknown_to_others(question);
  for (AppliedLimit& applied : applied_.counted()) {
    if (applied.counter == nullptr) continue;
    const Counter& counter = *applied.counter;
    const bool created = !counter.exists;
    applied_.count(question, applied);
    const double used = applied.use + applied.units;
    if (question.events != nullptr &&
        question.events->is_near(applied.use, used, applied.limit->counter_limit)) {
      note(question, applied, EventKind::near, {}, used);
    }
    // Of a recipient that was a known one, then or by now.
    const bool not_asked =
        is_distinct(*applied.limit) && (applied.units == 0 || applied.shared.wanted < 0);
    if (question.shared != nullptr && (unknown_to_others || not_asked)) {
      question.shared->changed(applied.limit->id, applied_.key_of(applied), counter.window,
                               counter.period);
    }
    if (question.log.mail_enabled()) log_count(question, applied, created);
  }
}

void Quotas::log_count(Question& question, const AppliedLimit& applied, bool created) {
  line_.clear();
  append_quota_line(
      line_, {created ? "mode=create" : "mode=update", created ? "quota_create" : "quota_update",
              question.request, applied.recipient, *applied.policy, *applied.quota, *applied.limit,
              applied_.key_of(applied), applied.counter->value});
  question.log.mail(line_);
}

// Calls visit(recipient, accepted, policy, quota) likewise; Walk::count_now ends the recipient.
template <typename Visit>
Quotas::Walk Quotas::each_quota(const MessageQuestion& question, Visit visit) {
  for (std::size_t i = 0; i < question.session.recipients(); ++i) {
    const SessionRecipient recipient = question.session.recipient(i);
    // Refused, or decided before Quotas (OK of AccessControl): not counted at RCPT, nor here.
    const bool accepted = !recipient.refuses() && recipient.reached_quotas;
    if (applied_.is_windowed() && !accepted) continue;
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
  applied_.begin();
  const Walk walk = each_quota(
      question, [&](const Request& about, bool accepted, const Policy& policy, const Quota& quota) {
        return collect_message(question, about, accepted, policy, quota);
      });
  if (walk != Walk::refuse) count(question);
  give_back(question);
  return walk == Walk::refuse ? Next::stop : Next::go_on;
}

// What the message has counted for nothing. In a pause it passes, whatever its verdict would be.
void Quotas::give_back(MessageQuestion& question) {
  if (!refunds_ || question.counted_before_crash) return;
  refund_.give_back({question.request, question.rules, question.store, question.log,
                     question.session, question.extensions, question.shared,
                     !question.paused && question.verdict.refuses()});
}

Quotas::Walk Quotas::collect_message(MessageQuestion& question, const Request& recipient,
                                     bool accepted, const Policy& policy, const Quota& quota) {
  if (quota.track.for_request(recipient) == nullptr) {
    if (applied_.is_windowed()) return Walk::next;  // logged at RCPT, where it was refused
    return refuse_row(question, quota, quota.track.error().message);
  }
  std::optional<AppliedLimit> exceeded_by;
  for (const QuotaLimit& limit : quota.limits) {
    if (!limits_size(limit)) continue;
    AppliedLimit applied = applied_.apply(question, recipient, policy, quota, limit);
    AppliedLimits::set_amounts(question, applied);
    if (!applied_.is_windowed() && applied.counter == nullptr) {
      if (!accepted) continue;
    } else if (!applied_.is_windowed()) {
      // The stored counter as it is, once for each recipient.
      if (!applied.counter->exists) continue;
      applied.use = applied.counter->value;
      applied_.add(applied);
      count(question);
      applied_.counted().clear();
      continue;
    }
    if (applied_.contains(applied)) continue;
    if (applied_.exceeds(question, applied, bites(question, quota)) &&
        !question.counted_before_crash)
      exceeded_by = applied;
    applied_.add(applied);
  }
  if (exceeded_by && exceeded(question, *exceeded_by) == Walk::refuse) return Walk::refuse;
  return quota.last ? Walk::count_now : Walk::next;
}

}  // namespace policyd
