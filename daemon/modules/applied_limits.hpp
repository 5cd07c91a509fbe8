// SPDX-License-Identifier: AGPL-3.0-only
// The limits that apply to one question of Quotas: what is used of each, what the question would
// add, whether that is too much, and until when. Which limits they are, and what follows, is the
// module's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/modules/message/earlier_recipients.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/modules/shared_limits.hpp"

namespace policyd {

// Amounts are messages, recipients or KiB.
struct AppliedLimit {
  const Policy* policy;
  const Quota* quota;
  const QuotaLimit* limit;
  std::size_t key_begin;  // its track key: AppliedLimits::key_of
  std::size_t key_size;
  std::string_view recipient;
  Counter* counter = nullptr;      // null: the limit is about each message and counts nothing
  double use = 0;                  // before this question, of all MTAs
  double units = 0;                // to count now
  double asked = 0;                // must be free
  SharedLimits::Part shared = {};  // what other MTAs have counted
};

class AppliedLimits {
 public:
  explicit AppliedLimits(Algorithm algorithm) : windowed_(algorithm == Algorithm::window) {}

  [[nodiscard]] bool is_windowed() const { return windowed_; }

  // The next question.
  void begin();
  // Of a limit that applies to the request `about`: its key and counter, and what is used of it.
  // Limits are asked for in the order of Question::wanted.
  AppliedLimit apply(Question& question, const Request& about, const Policy& policy,
                     const Quota& quota, const QuotaLimit& limit);
  // What one more recipient, or the message at its end, would add.
  void set_amounts(const RcptQuestion& question, AppliedLimit& applied);
  static void set_amounts(const MessageQuestion& question, AppliedLimit& applied);

  // A row that the Perl daemon cannot use either: CounterLimit or Period is invalid.
  static bool is_unusable(const AppliedLimit& applied);
  // Whether the limit, which can refuse if it `bites`, is exceeded.
  [[nodiscard]] bool exceeds(const Question& question, const AppliedLimit& applied,
                             bool bites) const;
  // How long until it would let the same mail pass, if no other mail came.
  [[nodiscard]] Millis retry_after(const Question& question, const AppliedLimit& applied) const;
  // Stores in its counter what the question adds.
  void count(const Question& question, AppliedLimit& applied) const;

  // Those that the question counts in.
  void add(const AppliedLimit& applied) { counted_.push_back(applied); }
  [[nodiscard]] bool contains(const AppliedLimit& applied) const;
  [[nodiscard]] std::vector<AppliedLimit>& counted() { return counted_; }

  // Valid until begin(), and until the next apply().
  [[nodiscard]] std::string_view key_of(const AppliedLimit& applied) const {
    return std::string_view{keys_}.substr(applied.key_begin, applied.key_size);
  }

 private:
  // Different recipients are not known to the Perl daemon: `decay` is not for them.
  [[nodiscard]] bool is_windowed(const QuotaLimit& limit) const {
    return windowed_ || limit.type == LimitType::distinct_recipients;
  }
  // How many earlier recipients of the message count in the limit, or are let through; up to
  // `enough`.
  double earlier(const RcptQuestion& question, const AppliedLimit& applied, Earlier which,
                 double enough);

  bool windowed_;
  std::string keys_;
  std::string other_key_;  // of an earlier recipient
  std::vector<AppliedLimit> counted_;
  SharedLimits shared_;
};

Millis period_of(const Quota& quota);

// A message by its first recipient, a recipient by an earlier message.
bool is_counted_already(const AppliedLimit& applied);

}  // namespace policyd
