// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/message/refund.hpp"

#include <algorithm>
#include <chrono>

#include "daemon/counting/decay.hpp"
#include "daemon/modules/text/quota_text.hpp"

namespace policyd {

namespace {

bool counts_recipients(const QuotaLimit& limit) {
  return limit.counter_limit > 0 &&
         (limit.type == LimitType::message_count || limit.type == LimitType::messages);
}

}  // namespace

void Refund::give_back(const Message& message) {
  const Session& session = message.session;
  if (session.recipients() > kMaxRecipients || session.rules_version != message.rules.version) {
    return;
  }
  const std::uint64_t accepted = message.request.recipient_count;
  // The usual message: all were accepted, or Postfix does not say.
  if (!message.refused && (accepted == 0 || accepted >= session.recipients())) return;
  add_up(message);
  for (const Tally& tally : tallies_) {
    const std::uint64_t units = units_of(message, tally);
    if (units > 0) give_back_units(message, tally, units);
  }
}

void Refund::add_up(const Message& message) {
  tallies_.clear();
  keys_.clear();
  for (std::size_t i = 0; i < message.session.recipients(); ++i) {
    const SessionRecipient recipient = message.session.recipient(i);
    if (recipient.counted.rules_version != message.rules.version) continue;
    bool last = false;
    for (const std::int64_t id : recipient.policies) {
      const auto index = message.rules.policy_by_id.find(id);
      if (index == message.rules.policy_by_id.end()) continue;
      const Policy& policy = message.rules.policies[index->second];
      for (const Quota& quota : policy.quotas) {
        if (!last) add(message, recipient, policy, quota);
        last = last || quota.last;
      }
    }
  }
}

void Refund::add(const Message& message, const SessionRecipient& recipient, const Policy& policy,
                 const Quota& quota) {
  const Request about = message.session.request_for(recipient);
  const Track* const track = quota.track.for_request(about);
  if (track == nullptr) return;
  const std::size_t key_begin = keys_.size();
  append_track_key(keys_, *track, about, message.extensions);
  const std::size_t key_size = keys_.size() - key_begin;
  for (const QuotaLimit& limit : quota.limits) {
    if (!counts_recipients(limit)) continue;
    Counter& counter =
        message.store.counter(limit.id, std::string_view{keys_}.substr(key_begin, key_size));
    auto tally = std::find_if(tallies_.begin(), tallies_.end(),
                              [&](const Tally& known) { return known.counter == &counter; });
    if (tally == tallies_.end()) {
      tallies_.push_back(Tally{&policy, &quota, &limit, &counter, key_begin, key_size, {}});
      tally = tallies_.end() - 1;
    }
    ++tally->recipients;
    tally->recipient = recipient.address;
    const bool named =
        message.request.recipient_count == 1 && recipient.address == message.request.recipient;
    tally->is_named = tally->is_named || named;
  }
}

std::uint64_t Refund::units_of(const Message& message, const Tally& tally) {
  const bool whole = tally.limit->type == LimitType::messages;
  if (message.refused) return whole ? 1 : tally.recipients;
  const std::uint64_t accepted = message.request.recipient_count;
  // Of one that Postfix names, it is known whether it is among them.
  const bool named = accepted == 1 && !message.request.recipient.empty();
  const std::uint64_t most = named ? (tally.is_named ? 1 : 0) : accepted;
  if (whole) return most == 0 ? 1 : 0;
  return tally.recipients - std::min(tally.recipients, most);
}

void Refund::give_back_units(const Message& message, const Tally& tally, std::uint64_t units) {
  Counter& counter = *tally.counter;
  const TimePoint now = message.store.now();
  const Millis period = std::chrono::seconds{tally.quota->period_s};
  const Millis age = now - message.session.first_rcpt;
  // What was counted may have left the window; the others in it are not ours.
  if (!counter.exists || age < Millis{0} || age >= period) return;
  if (windowed_) {
    counter.window.advance(now, period);
    const std::uint64_t before = counter.window.use();
    // After a reset the units in it are of other mail.
    counter.window.take_back(units, message.session.last_rcpt, period);
    if (counter.window.use() == before) return;
    counter.value = static_cast<double>(counter.window.use());
  } else {
    const double now_s = to_seconds(now);
    const auto period_s = static_cast<double>(tally.quota->period_s);
    const double left = 1 - static_cast<double>(age.count()) / static_cast<double>(period.count());
    counter.value = std::max(0.0, decayed(counter.value, counter.last_update_s, now_s, period_s) -
                                      static_cast<double>(units) * left);
  }
  counter.windowed = windowed_;
  counter.period = period;
  counter.last_update_s = to_seconds(now);
  message.store.changed(counter, 0);
  const std::string_view key = std::string_view{keys_}.substr(tally.key_begin, tally.key_size);
  if (windowed_ && message.shared != nullptr) {
    message.shared->changed(tally.limit->id, key, counter.window, period);
  }
  if (!message.log.mail_enabled()) return;
  line_.clear();
  append_quota_line(line_, {"mode=update", "quota_refund", message.request, tally.recipient,
                            *tally.policy, *tally.quota, *tally.limit, key, counter.value});
  message.log.mail(line_);
}

}  // namespace policyd
