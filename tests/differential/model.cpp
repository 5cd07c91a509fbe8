// SPDX-License-Identifier: AGPL-3.0-only
#include "model.hpp"
#include "daemon/counting/counters.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace differential {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

bool refuses(const std::string& answer) {
  return answer.starts_with("DEFER") || answer.starts_with("REJECT");
}

bool is_size(const Limit& limit) { return limit.type == "MessageCumulativeSize"; }
bool is_message(const Limit& limit) { return limit.type == "Messages"; }
bool is_recipients(const Limit& limit) { return limit.type == "RecipientsPerMessage"; }
bool is_distinct(const Limit& limit) { return limit.type == "DistinctRecipients"; }
bool is_message_size(const Limit& limit) { return limit.type == "SizePerMessage"; }
bool is_limit(const Limit& limit) { return !limit.disabled && limit.type != "Nonsense"; }

double kib_of(std::uint64_t bytes) { return std::ceil(static_cast<double>(bytes) / 1024); }

std::string text_of(const Quota& quota, const Limit& limit) {
  if (!quota.data.empty()) return quota.data;
  if (is_recipients(limit)) return "Policy rejection; Too many recipients of one message";
  if (is_message_size(limit)) return "Policy rejection; Message too large";
  if (is_distinct(limit)) return "Policy rejection; Too many different recipients";
  return is_size(limit) ? "Policy rejection; Cumulative message size quota exceeded"
                        : "Policy rejection; Message count quota exceeded";
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

double seconds(std::int64_t ms) { return static_cast<double>(ms) / 1000; }

double melted(const Count& count, std::int64_t now_ms, std::int64_t period_ms) {
  const double elapsed = seconds(now_ms) - seconds(count.last_ms);
  if (elapsed <= 0) return count.value;
  return elapsed > seconds(period_ms) ? 0 : (1 - elapsed / seconds(period_ms)) * count.value;
}

// The Perl daemon writes `Counter = Counter + delta` with fifteen digits of the delta, which may
// leave slightly more than the sum, enough to exceed a limit.
double with_delta(double counter, double wanted) {
  char delta[32];
  std::snprintf(delta, sizeof delta, "%.15g", wanted - counter);
  return counter + std::strtod(delta, nullptr);
}

}  // namespace

double Count::min_use(std::int64_t now_ms, std::int64_t period_ms) const {
  double sum = 0;
  for (const Arrival& arrival : arrivals) {
    if (now_ms - arrival.ms < period_ms) sum += arrival.units;
  }
  for (const auto& [recipient, ms] : recipients) {
    if (now_ms - ms < period_ms) sum += 1;
  }
  return sum;
}

const Policy* Model::enabled_policy(std::int64_t id) const {
  for (const Policy& policy : rules_.policies) {
    if (policy.id == id && !policy.disabled) return &policy;
  }
  return nullptr;
}

Model::Exceeded Model::exceeded(const Key& key, const Quota& quota, const Limit& limit,
                                double asked_for, std::int64_t now_ms) const {
  const auto found = counts_.find(key);
  const Count none;
  const Count& count = found == counts_.end() ? none : found->second;
  const std::int64_t period_ms = quota.period_s * 1000;
  if (algorithm_ == Algorithm::window || is_distinct(limit)) {
    if (count.min_use(now_ms, period_ms) + asked_for > limit.most) return Exceeded::yes;
    const bool perhaps = count.max_use(now_ms, period_ms) + asked_for > limit.most;
    return perhaps ? Exceeded::perhaps : Exceeded::no;
  }
  return melted(count, now_ms, period_ms) > limit.most ? Exceeded::yes : Exceeded::no;
}

// A known recipient counts nothing; one may be known a sixtieth of the period too long, too.
Model::Exceeded Model::exceeded_by(const std::string& recipient, const Key& key, const Quota& quota,
                                   const Limit& limit, std::int64_t now_ms) const {
  const std::int64_t period_ms = quota.period_s * 1000;
  const auto found = counts_.find(key);
  if (found != counts_.end() && found->second.recipients.contains(recipient)) {
    const std::int64_t since = now_ms - found->second.recipients.at(recipient);
    if (since < period_ms) return Exceeded::no;
    if (since < period_ms + period_ms / 60) {
      return found->second.max_use(now_ms, period_ms) > limit.most ? Exceeded::perhaps
                                                                   : Exceeded::no;
    }
  }
  return exceeded(key, quota, limit, 1, now_ms);
}

// Applies a quota to its limits.
void Model::conclude(Walk& walk, const Quota& quota, Exceeded how, const std::string& text) {
  if (how == Exceeded::no || walk.before_crash) return;
  if (quota.verdict.empty()) {
    if (algorithm_ == Algorithm::decay) walk.counts_nothing = true;  // else it only monitors
    return;
  }
  const std::string verdict =
      quota.verdict == "NONSENSE" ? "DEFER" : upper(quota.verdict) + " " + text;
  if (how == Exceeded::perhaps) {
    ++ambiguous_;
    if (walk.answer != verdict) return;
  }
  walk.verdict = verdict;
}

// Recipients of the message that passed this policy with the same key.
std::size_t Model::earlier(const Message& message, std::int64_t policy, const Quota& quota,
                           const std::string& key) {
  return static_cast<std::size_t>(std::count_if(
      message.recipients.begin(), message.recipients.end(), [&](const Recipient& recipient) {
        const auto& ids = recipient.policies;
        return !refuses(recipient.answer) &&
               std::find(ids.begin(), ids.end(), policy) != ids.end() &&
               tracking_key(quota.track, recipient.asked) == key;
      }));
}

// Whether a recipient with the same key has counted the message in this quota.
bool Model::is_counted(const Message& message, const Quota& quota, const std::string& key) const {
  return std::any_of(
      message.recipients.begin(), message.recipients.end(), [&](const Recipient& recipient) {
        return recipient.rules_version == rules_version_ && recipient.counted.contains(quota.id) &&
               tracking_key(quota.track, recipient.asked) == key;
      });
}

void Model::walk_rcpt(Walk& walk, const Message& message, std::int64_t policy, const Quota& quota,
                      const Asked& asked) {
  const auto key = tracking_key(quota.track, asked);
  if (!key) {
    walk.verdict = "DEFER";
    return;
  }
  Exceeded how = Exceeded::no;
  std::string text;
  for (const Limit& limit : quota.limits) {
    if (!is_limit(limit)) continue;
    if (limit.most <= 0) {
      walk.verdict = "DEFER";
      return;
    }
    const bool size = is_size(limit);
    const double kib = std::max(1.0, kib_of(asked.bytes));
    const auto before = static_cast<double>(earlier(message, policy, quota, *key));
    if (is_recipients(limit) || is_message_size(limit)) {
      if ((is_recipients(limit) ? before + 1 : kib) <= limit.most) continue;
      text = text_of(quota, limit);
      how = Exceeded::yes;
      continue;
    }
    if (is_message(limit) && is_counted(message, quota, *key)) continue;
    const Key counter{limit.id, *key};
    const Exceeded this_one =
        is_distinct(limit) ? exceeded_by(asked.recipient(), counter, quota, limit, walk.now_ms)
                           : exceeded(counter, quota, limit, size ? kib : 1, walk.now_ms);
    if (this_one != Exceeded::no) text = text_of(quota, limit);
    how = std::max(how, this_one);
    period_ms_[limit.id] = quota.period_s * 1000;
    if (is_distinct(limit)) {
      walk.touched.push_back({counter, 0, asked.recipient()});
    } else if (!size || algorithm_ == Algorithm::decay) {
      walk.touched.push_back({counter, size ? 0.0 : 1.0});
    }
  }
  conclude(walk, quota, how, text);
}

void Model::count(Walk& walk) {
  if (walk.before_crash) return;
  walk.counted = !walk.touched.empty();
  for (const Touched& touched : walk.touched) {
    Count& count = counts_[touched.key];
    if (!touched.recipient.empty()) {
      count.distinct = true;
      count.recipients[touched.recipient] = walk.now_ms;
    } else if (algorithm_ == Algorithm::window) {
      count.arrivals.push_back({walk.now_ms, touched.units});
    } else {
      const double current = melted(count, walk.now_ms, period_ms_[touched.key.first]);
      count.value = with_delta(count.value, current + touched.units);
    }
    count.last_ms = walk.now_ms;
  }
}

std::optional<std::string> Model::rcpt(const Asked& asked, Walk& walk, std::uint64_t batch) {
  Message* message = nullptr;
  const auto known = messages_.find(asked.instance);
  if (known != messages_.end()) message = &known->second;
  if (message == nullptr && resumable_.contains(asked.instance)) {
    message = resume(asked.instance);
  }
  if (message == nullptr) message = &messages_[asked.instance];
  message->last_rcpt_ms = walk.now_ms;
  for (const Recipient& recipient : message->recipients) {
    if (recipient.asked.recipient() == asked.recipient()) return recipient.answer;
  }

  message->end.reset();  // the message continues
  Recipient recipient{asked, {}, {}, {}, rules_version_};
  bool ended = false;
  for (const Policy* policy : matching(rules_, asked)) {
    recipient.policies.push_back(policy->id);
    for (const Quota& quota : policy->quotas) {
      if (ended || quota.disabled) continue;
      walk_rcpt(walk, *message, policy->id, quota, asked);
      recipient.counted.insert(quota.id);
      ended = walk.verdict || walk.counts_nothing || quota.last;
    }
  }
  if (walk.verdict || walk.counts_nothing) {
    recipient.counted.clear();
  } else {
    count(walk);
  }
  recipient.answer = walk.verdict.value_or("DUNNO");
  note(asked, walk, recipient.answer, batch);
  message->recipients.push_back(recipient);
  return recipient.answer;
}

// The window: the size of the message, checked again, once for each key.
void Model::walk_end(Walk& walk, const Quota& quota, const Asked& asked, double kib) {
  const auto key = tracking_key(quota.track, asked);
  if (!key) return;
  Exceeded how = Exceeded::no;
  std::string text;
  for (const Limit& limit : quota.limits) {
    if (!is_limit(limit) || limit.most <= 0) continue;
    if (is_message_size(limit) && kib > limit.most) {
      text = text_of(quota, limit);
      how = Exceeded::yes;
    }
    if (!is_size(limit)) continue;
    const Key counter{limit.id, *key};
    const bool seen = std::any_of(walk.touched.begin(), walk.touched.end(),
                                  [&](const Touched& touched) { return touched.key == counter; });
    if (seen) continue;
    const Exceeded this_one = exceeded(counter, quota, limit, kib, walk.now_ms);
    if (this_one != Exceeded::no) text = text_of(quota, limit);
    how = std::max(how, this_one);
    period_ms_[limit.id] = quota.period_s * 1000;
    walk.touched.push_back({counter, kib});
  }
  conclude(walk, quota, how, text);
}

// decay: the size is added to the stored counter as it is, once for each recipient.
void Model::add_size_decaying(Walk& walk, const Quota& quota, const Recipient& recipient,
                              double kib) {
  const auto key = tracking_key(quota.track, recipient.asked);
  if (!key) walk.verdict = "DEFER";  // an invalid row
  if (!key || walk.before_crash) return;
  const Limit* too_large = nullptr;
  for (const Limit& limit : quota.limits) {
    if (!is_limit(limit) || limit.most <= 0) continue;
    if (is_message_size(limit) && kib > limit.most && !refuses(recipient.answer)) {
      too_large = &limit;
    }
    if (!is_size(limit)) continue;
    const auto count = counts_.find({limit.id, *key});
    if (count == counts_.end()) continue;
    count->second.value = with_delta(count->second.value, count->second.value + kib);
    count->second.last_ms = walk.now_ms;
    walk.counted = true;
  }
  if (too_large != nullptr) conclude(walk, quota, Exceeded::yes, text_of(quota, *too_large));
}

std::optional<std::string> Model::end(const Asked& asked, Walk& walk, std::uint64_t batch) {
  const auto known = messages_.find(asked.instance);
  Message* message = known == messages_.end() ? resume(asked.instance) : &known->second;
  if (message == nullptr) return "DUNNO";
  if (message->end) return message->end;
  const double kib = kib_of(asked.bytes);
  const bool window = algorithm_ == Algorithm::window;
  for (const Recipient& recipient : message->recipients) {
    if (window && refuses(recipient.answer)) continue;
    bool ended = false;
    for (const std::int64_t id : recipient.policies) {
      const Policy* policy = enabled_policy(id);
      if (policy == nullptr) continue;
      for (const Quota& quota : policy->quotas) {
        if (ended || walk.verdict || quota.disabled) continue;
        if (window) {
          walk_end(walk, quota, recipient.asked, kib);
        } else {
          add_size_decaying(walk, quota, recipient, kib);
        }
        ended = quota.last && tracking_key(quota.track, recipient.asked);
      }
    }
  }
  if (window && !walk.verdict) count(walk);
  message->end = walk.verdict.value_or("DUNNO");
  message->recipients.clear();
  saved_.erase(asked.instance);
  note(asked, walk, *message->end, batch);
  return message->end;
}

// Only questions that were counted, now or before a crash.
void Model::note(const Asked& asked, const Walk& walk, const std::string& answer,
                 std::uint64_t batch) {
  if (refuses(answer) || !(walk.before_crash || walk.counted)) return;
  if (batch != slot_batch_) {
    slot_ = slot_batch_ == 0 ? 0 : (slot_ + 1) % ring_.size();
    slot_batch_ = batch;
    ring_[slot_].clear();
  }
  ring_[slot_].insert({asked.instance, asked.recipient(), asked.end_of_message});
}

Model::Message* Model::resume(const std::string& instance) {
  const auto row = saved_.find(instance);
  return row == saved_.end() ? nullptr : &(messages_[instance] = row->second);
}

std::optional<std::string> Model::objection(const Asked& asked, const std::string& answer,
                                            std::int64_t now_ms, std::uint64_t batch) {
  const Question question{asked.instance, asked.recipient(), asked.end_of_message};
  Walk walk{answer, counted_before_.contains(question), now_ms, {}, {}, false, false};
  const auto right = asked.end_of_message ? end(asked, walk, batch) : rcpt(asked, walk, batch);
  if (refuses(answer)) ++refused_;
  return *right == answer ? std::nullopt : right;
}

void Model::restart(bool clean, std::int64_t now_ms) {
  for (auto& [instance, message] : messages_) {
    if (!clean || message.end || message.last_rcpt_ms + kHourMs < now_ms) continue;
    Message row;
    for (Recipient recipient : message.recipients) {
      if (refuses(recipient.answer)) continue;
      recipient.answer = "DUNNO";  // the row has neither
      recipient.counted.clear();
      auto& policies = recipient.policies;
      policies.erase(std::remove_if(policies.begin(), policies.end(),
                                    [this](std::int64_t id) { return !enabled_policy(id); }),
                     policies.end());
      row.recipients.push_back(std::move(recipient));
    }
    if (!row.recipients.empty()) saved_[instance] = std::move(row);
  }
  messages_.clear();
  resumable_.clear();
  for (const auto& row : saved_) resumable_.insert(row.first);
  counted_before_.clear();
  for (const auto& questions : ring_) counted_before_.insert(questions.begin(), questions.end());
  slot_ = 0;
  slot_batch_ = 0;
}

void Model::edit(const Key& key, double counter, std::int64_t now_ms) {
  Count& count = counts_.at(key);
  count.value = counter;
  count.recipients.clear();  // which are in it is not known
  // LastUpdate in seconds with a fraction may read as a millisecond less.
  count.arrivals = {{std::min(count.last_ms - 1, now_ms), counter}};
}

std::optional<std::string> Model::objection_to_row(const Key& key, double counter,
                                                   double last_update_s) const {
  const auto found = counts_.find(key);
  if (found == counts_.end()) return "no such row";
  const Count& count = found->second;
  const double last_s = static_cast<double>(count.last_ms) / 1000;
  if (std::abs(last_update_s - last_s) > 0.0005) return "LastUpdate " + std::to_string(last_s);
  if (algorithm_ == Algorithm::decay && !count.distinct) {
    return counter == count.value ? std::nullopt
                                  : std::optional{"Counter " + std::to_string(count.value)};
  }
  const std::int64_t period_ms = period_ms_.at(key.first);
  const double least = count.min_use(count.last_ms, period_ms);
  const double most = count.max_use(count.last_ms, period_ms);
  if (counter >= least && counter <= most) return std::nullopt;
  return "Counter " + std::to_string(least) + " to " + std::to_string(most);
}

}  // namespace differential
