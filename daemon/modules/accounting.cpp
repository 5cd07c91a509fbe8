// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/accounting.hpp"

#include <fmt/core.h>

#include "daemon/base/ascii.hpp"
#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

std::int64_t kib(std::uint64_t bytes) {
  return static_cast<std::int64_t>(bytes / 1024 + (bytes % 1024 != 0 ? 1 : 0));
}

// Whole seconds, as in accounting_tracking.LastUpdate.
std::int64_t seconds_of(TimePoint time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

AccountingLimit exceeded_limit(const AccountingRow& row, const AccountingUnits& used) {
  if (row.count_limit > 0 && used.messages >= row.count_limit) {
    return AccountingLimit::message_count;
  }
  if (row.size_limit > 0 && used.kib > row.size_limit) {
    return AccountingLimit::message_cumulative_size;
  }
  return AccountingLimit::none;
}

}  // namespace

void Accounting::refuse_row(Question& question, const AccountingRow& row,
                            std::string_view problem) {
  if (question.paused) return;
  errors_.refuse(question, "Accounting", fmt::format("accounting={}: {}", row.id, problem));
}

bool Accounting::check_row(Question& question, const Request& about, const AccountingRow& row) {
  if (row.track.for_request(about) == nullptr) {
    refuse_row(question, row, row.track.error().message);
    return false;
  }
  if (row.period == AccountingRow::Period::invalid) {
    refuse_row(question, row, "AccountingPeriod is not 0 (day), 1 (week) or 2 (month)");
    return false;
  }
  return true;
}

Next Accounting::decide_rcpt(RcptQuestion& question) {
  touched_.clear();
  for (const std::uint32_t index : question.policies) {
    const Policy& policy = question.rules.policies[index];
    for (const AccountingRow& row : policy.accounting) {
      const Walk walk = collect(question, policy, row);
      if (walk == Walk::next) continue;
      if (walk == Walk::ended) count(question);
      return walk == Walk::refused ? Next::stop : Next::go_on;
    }
  }
  count(question);
  return Next::go_on;
}

Accounting::Walk Accounting::collect(RcptQuestion& question, const Policy& policy,
                                     const AccountingRow& row) {
  if (!check_row(question, question.request, row)) {
    return question.paused ? Walk::next : Walk::refused;
  }
  const Touched touched{&policy, &row, &touch(question, question.request, row)};
  const AccountingLimit limit = exceeded_limit(row, touched.counter->used);
  if (limit != AccountingLimit::none && !question.counted_before_crash && !question.paused) {
    return exceeded(question, touched, limit);
  }
  touched_.push_back(touched);
  return row.last ? Walk::ended : Walk::next;
}

// Applies the row's Verdict to an exceeded limit.
Accounting::Walk Accounting::exceeded(RcptQuestion& question, const Touched& touched,
                                      AccountingLimit limit) {
  const Request& request = question.request;
  const RowVerdict& verdict = touched.row->verdict;
  const auto log_end = [&](Reason::Kind kind) {
    question.reason.kind = kind;
    if (!question.log.mail_enabled()) return;
    question.log.mail(
        mail_line("Accounting", "action=none", request, request.recipient, word_of(kind)));
  };
  question.reason.kind = Reason::Kind::accounting_match;
  question.reason.row_id = touched.row->id;
  if (question.log.mail_enabled()) {
    std::string what = fmt::format("action={}", verdict.text);
    lower_case(what);
    AccountingUnits used = touched.counter->used;
    // CBPolicyD logs the figures with this recipient counted already.
    if (limit == AccountingLimit::message_cumulative_size) used += {1, 0};
    log(question, request, what, word_of(question.reason.kind), touched, used, false);
  }
  const auto observe = [&](EventKind kind, std::string_view word) {
    note(question, touched, limit, kind, word);
  };
  if (verdict.kind == RowVerdict::Kind::none) {
    observe(EventKind::watched, "none");
    log_end(Reason::Kind::no_verdict);
    return Walk::count_nothing;
  }
  if (!verdict.is_for_limits()) {
    log_end(Reason::Kind::invalid_verdict);
    refuse_row(question, *touched.row,
               describe_invalid_value("accounting", "Verdict", verdict.text));
    return Walk::refused;
  }
  if (check_data_ && !verdict.data_fits) {
    observe(EventKind::refused, "defer");
    refuse_row(question, *touched.row, describe_unfit_data(verdict.text, touched.row->data));
    return Walk::refused;
  }
  observe(EventKind::refused, name_of(verdict.action));
  question.verdict = {verdict.action, accounting_answer(*touched.row, limit)};
  return Walk::refused;
}

void Accounting::note(const RcptQuestion& question, const Touched& touched, AccountingLimit limit,
                      EventKind kind, std::string_view verdict) {
  if (question.events == nullptr) return;
  const AccountingRow& row = *touched.row;
  key_.clear();
  append_track_key(key_, *row.track.for_request(question.request), question.request,
                   question.extensions);
  Event* event = question.events->note({kind, "Accounting", row.id, key_, verdict},
                                       question.request, question.store.now());
  if (event == nullptr) return;  // known already
  const bool counts = limit == AccountingLimit::message_count;
  const AccountingUnits& used = touched.counter->used;
  event->used = static_cast<double>(counts ? used.messages : used.kib);
  event->limit = static_cast<double>(counts ? row.count_limit : row.size_limit);
}

void Accounting::count(RcptQuestion& question) {
  if (question.counted_before_crash) return;
  constexpr AccountingUnits kRecipient{1, 0};
  for (const Touched& touched : touched_) {
    AccountingCounter& counter = *touched.counter;
    const bool created = !counter.exists;
    counter.used += kRecipient;
    counter.last_update_s = seconds_of(question.store.now());
    question.store.changed(counter, kRecipient);
    log(question, question.request, created ? "mode=create" : "mode=update",
        created ? "accounting_create" : "accounting_update", touched, counter.used, true);
  }
}

Next Accounting::decide_message(MessageQuestion& question) {
  const auto of_recipient = [&](const SessionRecipient& recipient) {
    const Request about = question.session.request_for(recipient);
    for (const std::int64_t id : recipient.policies) {
      const auto index = question.rules.policy_by_id.find(id);
      if (index == question.rules.policy_by_id.end()) continue;
      const Policy& policy = question.rules.policies[index->second];
      for (const AccountingRow& row : policy.accounting) {
        const Walk walk = add_size(question, about, policy, row);
        if (walk != Walk::next) return walk;
      }
    }
    return Walk::ended;
  };
  if (question.counted_before_crash) return Next::go_on;
  for (std::size_t i = 0; i < question.session.recipients(); ++i) {
    if (of_recipient(question.session.recipient(i)) == Walk::refused) return Next::stop;
  }
  return Next::go_on;
}

Accounting::Walk Accounting::add_size(MessageQuestion& question, const Request& about,
                                      const Policy& policy, const AccountingRow& row) {
  if (!check_row(question, about, row)) {
    return question.paused ? Walk::next : Walk::refused;
  }
  AccountingCounter& counter = touch(question, about, row);
  // Nothing was counted at RCPT, or a new period has begun since; LastAccounting is ignored then.
  if (!counter.exists) return Walk::next;
  // CBPolicyD logs the figures that it found.
  log(question, about, "mode=update", "accounting_update", {&policy, &row, &counter}, counter.used,
      false);
  const AccountingUnits units{0, kib(question.request.size_bytes)};
  counter.used += units;
  counter.last_update_s = seconds_of(question.store.now());
  question.store.changed(counter, units);
  return row.last ? Walk::ended : Walk::next;
}

AccountingCounter& Accounting::touch(Question& question, const Request& about,
                                     const AccountingRow& row) {
  key_.clear();
  append_track_key(key_, *row.track.for_request(about), about, question.extensions);
  return question.store.accounting(row.id, key_, period_key_at(row.period, question.store.now()));
}

void Accounting::log(Question& question, const Request& about, std::string_view what,
                     std::string_view reason, const Touched& touched, const AccountingUnits& used,
                     bool bare_without_limit) {
  if (!question.log.mail_enabled()) return;
  key_.clear();
  append_track_key(key_, *touched.row->track.for_request(about), about, question.extensions);
  question.log.mail(accounting_line(
      {what, reason, about, about.recipient, *touched.policy, *touched.row, key_,
       period_key_at(touched.row->period, question.store.now()), used, bare_without_limit}));
}

std::string_view Accounting::period_key_at(AccountingRow::Period period, TimePoint now) {
  using Period = AccountingRow::Period;
  const auto minute = std::chrono::floor<std::chrono::minutes>(now);
  if (minute != keys_of_) {
    for (const Period each : {Period::day, Period::week, Period::month}) {
      period_keys_.at(static_cast<std::size_t>(each)) = period_key(each, now);
    }
    keys_of_ = minute;
  }
  return period_keys_.at(static_cast<std::size_t>(period));
}

}  // namespace policyd
