// SPDX-License-Identifier: AGPL-3.0-only
// Quotas: a number of messages or KiB in a period, for each track key. CBPolicyD, "Quotas". With
// `window` (ours, the default) a limit is exact; `decay` counts as the Perl daemon does.
#pragma once

#include <string>

#include "daemon/config/config.hpp"
#include "daemon/modules/applied_limits.hpp"
#include "daemon/modules/message/refund.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

class Quotas final : public Module {
 public:
  explicit Quotas(Algorithm algorithm, bool refunds = false)
      : refunds_(refunds), refund_(algorithm == Algorithm::window), applied_(algorithm) {}

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
  // What to do after one quota of the walk.
  enum class Walk : std::uint8_t { next, count_now, refuse, count_nothing };

  template <typename Visit>
  Walk each_quota(const RcptQuestion& question, Visit visit);
  template <typename Visit>
  Walk each_quota(const MessageQuestion& question, Visit visit);
  // Whether the other MTAs that share the limits have to be asked first; fills Question::wanted.
  bool has_to_ask(RcptQuestion& question);
  bool has_to_ask(MessageQuestion& question);
  [[nodiscard]] bool may_ask(const Question& question) const;
  bool want(Question& question, const AppliedLimit& applied) const;

  Walk collect_rcpt(RcptQuestion& question, const Policy& policy, const Quota& quota);
  Walk collect_message(MessageQuestion& question, const Request& recipient, bool accepted,
                       const Policy& policy, const Quota& quota);
  Walk exceeded(Question& question, const AppliedLimit& by);
  [[nodiscard]] std::string answer_of(const Question& question, const AppliedLimit& by) const;
  Walk refuse_row(Question& question, const Quota& quota, std::string_view problem);
  void count(Question& question);
  void give_back(MessageQuestion& question);
  void log_count(Question& question, const AppliedLimit& applied, bool created);
  // Remembers that the limit is exceeded, or nearly used up.
  void note(const Question& question, const AppliedLimit& by, EventKind kind,
            std::string_view verdict, double used) const;

  bool refunds_;
  Refund refund_;
  RowErrors errors_;
  AppliedLimits applied_;  // to the current question
  std::string line_;       // for the log
};

}  // namespace policyd
