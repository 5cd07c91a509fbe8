// SPDX-License-Identifier: AGPL-3.0-only
// Accounting: a number of messages or KiB in a calendar day, week or month, for each track key.
// CBPolicyD, "Accounting". Its counters grow until the period ends and are kept forever.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/counting/counters.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"
#include "daemon/modules/text/accounting_text.hpp"

namespace policyd {

class Accounting final : public Module {
 public:
  // `check_data`: see AccessControl.
  explicit Accounting(bool check_data = true) : check_data_(check_data) {}

  [[nodiscard]] std::string_view name() const override { return "Accounting"; }
  [[nodiscard]] bool decides_what_counts() const override { return true; }
  // Counts the recipient in all rows of all matched policies, or refuses and counts it in none.
  Next decide_rcpt(RcptQuestion& question) override;
  // Adds the size of the message once for each recipient, including refused ones, to counters that
  // exist already, as CBPolicyD does.
  Next decide_message(MessageQuestion& question) override;

 private:
  struct Touched {
    const Policy* policy;
    const AccountingRow* row;
    AccountingCounter* counter;
  };
  // What to do after one row of the walk.
  enum class Walk : std::uint8_t { next, ended, refused, count_nothing };

  Walk collect(RcptQuestion& question, const Policy& policy, const AccountingRow& row);
  Walk exceeded(RcptQuestion& question, const Touched& touched, AccountingLimit limit);
  // Remembers that the limit is exceeded.
  void note(const RcptQuestion& question, const Touched& touched, AccountingLimit limit,
            EventKind kind, std::string_view verdict);
  void count(RcptQuestion& question);
  Walk add_size(MessageQuestion& question, const Request& about, const Policy& policy,
                const AccountingRow& row);
  AccountingCounter& touch(Question& question, const Request& about, const AccountingRow& row);
  void log(Question& question, const Request& about, std::string_view what, std::string_view reason,
           const Touched& touched, const AccountingUnits& used, bool bare_without_limit);
  std::string_view period_key_at(AccountingRow::Period period, TimePoint now);

  // False if the row is invalid; then the question is answered.
  bool check_row(Question& question, const Request& about, const AccountingRow& row);
  void refuse_row(Question& question, const AccountingRow& row, std::string_view problem);

  bool check_data_;
  RowErrors errors_;
  std::string key_;               // scratch
  std::vector<Touched> touched_;  // scratch
  // As of the minute keys_of_; all periods begin at a full minute.
  std::array<std::string, 3> period_keys_;
  std::chrono::time_point<std::chrono::system_clock, std::chrono::minutes> keys_of_{};
};

}  // namespace policyd
