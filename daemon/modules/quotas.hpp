// SPDX-License-Identifier: AGPL-3.0-only
// Quotas: a number of messages or KiB in a period, for each track key. CBPolicyD, "Quotas". With
// `window` (ours, the default) a limit is exact; `decay` counts as the Perl daemon does.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/modules/message/refund.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"
#include "daemon/modules/shared_limits.hpp"

namespace policyd {

class Quotas final : public Module {
 public:
  explicit Quotas(Algorithm algorithm, bool refunds = false)
      : windowed_(algorithm == Algorithm::window), refunds_(refunds), refund_(windowed_) {}

  [[nodiscard]] std::string_view name() const override { return "Quotas"; }
  [[nodiscard]] bool decides_what_counts() const override { return true; }
  // With limits that other MTAs share, unless one of them refuses anyway.
  [[nodiscard]] bool has_waited(const Question& question) const override {
    return question.granted != nullptr;
  }
  // Counts the recipient in all limits of all matched policies, or in none and refuses.
  Next decide_rcpt(RcptQuestion& question) override;
  // Adds the size of the message; with `window` checks it first and may refuse the message.
  Next decide_message(MessageQuestion& question) override;

 private:
  // A limit that applies to this question, and what the question adds to it: messages, recipients
  // or KiB.
  struct Touched {
    const Policy* policy;
    const Quota* quota;
    const QuotaLimit* limit;
    std::size_t key_begin;  // its track key, in keys_
    std::size_t key_size;
    std::string_view recipient;
    Counter* counter;                // null: the limit is about each message and counts nothing
    double use;                      // before this question, of all MTAs
    double units;                    // to count now
    double asked;                    // must be free
    SharedLimits::Part shared = {};  // what other MTAs have counted
  };
  // What to do after one quota of the walk.
  enum class Walk : std::uint8_t { next, count_now, refuse, count_nothing };

  template <typename Visit>
  Walk each_quota(const RcptQuestion& question, Visit visit);
  template <typename Visit>
  Walk each_quota(const MessageQuestion& question, Visit visit);
  // Whether the other MTAs that share the limits have to be asked first; fills Question::wanted.
  bool has_to_ask(RcptQuestion& question);
  bool has_to_ask(MessageQuestion& question);
  static bool is_unusable(const Touched& touched);
  void set_amounts(const RcptQuestion& question, Touched& touched, double size);
  // Whether the recipient is one of those counted already.
  static bool is_known(const Question& question, const Touched& touched);
  static void set_size(const MessageQuestion& question, Touched& touched);
  [[nodiscard]] bool is_touched(const Touched& touched) const;
  [[nodiscard]] static Window window_of_all(const Touched& touched);
  [[nodiscard]] bool exceeds(const Question& question, const Touched& touched) const;
  [[nodiscard]] bool may_ask(const Question& question) const;
  bool want(Question& question, const Touched& touched) const;

  Walk collect_rcpt(RcptQuestion& question, const Policy& policy, const Quota& quota);
  Walk collect_message(MessageQuestion& question, const Request& recipient, bool accepted,
                       const Policy& policy, const Quota& quota);
  Walk exceeded(Question& question, const Touched& by);
  static void settle(Question& question, Counter& counter, double use, Millis period,
                     bool windowed);
  [[nodiscard]] Millis retry_after(const Question& question, const Touched& by) const;
  [[nodiscard]] std::string answer_of(const Question& question, const Touched& by) const;
  Walk refuse_row(Question& question, const Quota& quota, std::string_view problem);
  Touched touch(Question& question, const Request& about, const Policy& policy, const Quota& quota,
                const QuotaLimit& limit);
  [[nodiscard]] std::string_view key_of(const Touched& touched) const {
    return std::string_view{keys_}.substr(touched.key_begin, touched.key_size);
  }
  void begin();
  void count(Question& question);
  void give_back(MessageQuestion& question);
  static void count_recipient(const Question& question, const Touched& touched);
  void log_count(Question& question, const Touched& touched, bool created);
  // Remembers that the limit is exceeded, or nearly used up.
  void note(const Question& question, const Touched& by, EventKind kind, std::string_view verdict,
            double used) const;

  // Different recipients are not known to the Perl daemon: `decay` is not for them.
  [[nodiscard]] bool is_windowed(const QuotaLimit& limit) const {
    return windowed_ || limit.type == LimitType::distinct_recipients;
  }

  bool windowed_;
  bool refunds_;
  Refund refund_;
  RowErrors errors_;
  // Of the current question.
  std::string keys_;       // of the touched limits
  std::string other_key_;  // of an earlier recipient
  std::vector<Touched> touched_;
  SharedLimits shared_;
  std::string line_;  // for the log
};

}  // namespace policyd
