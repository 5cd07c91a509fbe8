// SPDX-License-Identifier: AGPL-3.0-only
// The texts of Accounting: period keys, CBPolicyD's log lines to the letter, and answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/rules.hpp"

namespace policyd {

// The day, week (ISO 8601's number after the calendar year, as in CBPolicyD) or month of `time` in
// local time: "2026-11-22", "2026/47", "2026-11". Empty for an invalid period.
std::string period_key(AccountingRow::Period period, TimePoint time);

// "module=Accounting, mode=update, host=..., ..., reason=accounting_update, policy=...,
// accounting=..., track=..., period=..., count=3/5 (60.0%), size=7/30 (23.3%)"
struct AccountingLine {
  std::string_view what;    // "mode=update", "action=defer"
  std::string_view reason;  // "accounting_update", "accounting_match"
  const Request& request;
  std::string_view recipient;
  const Policy& policy;
  const AccountingRow& row;
  std::string_view track_key;
  std::string_view period_key;
  AccountingUnits used;
  // Without a limit CBPolicyD writes "count=/-" for a recipient it counts, else "count=3/-".
  bool bare_without_limit;
};
std::string accounting_line(const AccountingLine& line);

enum class AccountingLimit : std::uint8_t { none, message_count, message_cumulative_size };

// Data of the row, or CBPolicyD's text if it is empty.
std::string accounting_answer(const AccountingRow& row, AccountingLimit exceeded);

}  // namespace policyd
