// SPDX-License-Identifier: AGPL-3.0-only
// The words of Quotas: log lines to the letter of CBPolicyD, and answers. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/rules.hpp"

namespace policyd {

std::string_view counter_name(LimitType type);  // MessageCount, MessageCumulativeSize

// "module=Quotas, mode=update, host=..., ..., reason=quota_update, policy=..., quota=3.87/250
// (1.5%)"
struct QuotaLine {
  std::string_view what;    // "mode=update", "action=defer"
  std::string_view reason;  // "quota_update", "quota_match"
  const Request& request;
  std::string_view recipient;
  const Policy& policy;
  const Quota& quota;
  const QuotaLimit& limit;
  std::string_view track_key;
  double use;
};
void append_quota_line(std::string& out, const QuotaLine& line);

// Data of the quota, or CBPolicyD's text where it is empty. Placeholders stay as they are.
std::string quota_answer(const Quota& quota, const QuotaLimit& limit);

// Whether Data may hold placeholders, so that the figures are worth working out.
inline bool has_placeholders(const Quota& quota) {
  return quota.data.find('{') != std::string::npos;
}

// Data with `{used}`, `{limit}`, `{period}` and `{retry_after}` replaced; other words in braces
// stay. "You sent {used} of {limit} mails per {period}; try again in {retry_after}" becomes "You
// sent 100 of 100 mails per hour; try again in 12 minutes". `retry_after`: until the limit would
// let the same pass.
std::string quota_answer(const Quota& quota, const QuotaLimit& limit, double used,
                         Millis retry_after);

// "7", or of sizes "90 KiB", "7.8 MiB": in units of the limit, rounded down.
std::string amount_in_words(LimitType type, double amount);
// After "per": "second", "minute", "hour", "day", "10 minutes", "90 seconds".
std::string period_in_words(std::chrono::seconds period);
// After "in", rounded up and never nothing: "1 second", "12 minutes", "3 hours", "2 days".
std::string wait_in_words(Millis wait);

}  // namespace policyd
