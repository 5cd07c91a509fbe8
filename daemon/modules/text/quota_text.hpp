// SPDX-License-Identifier: AGPL-3.0-only
// The texts of Quotas: CBPolicyD's log lines to the letter, and answers. Pure.
#pragma once

#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/rules/rules.hpp"

namespace policyd {

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

// Data of the quota, or CBPolicyD's text if it is empty. Placeholders are not replaced.
std::string quota_answer(const Quota& quota, const QuotaLimit& limit);

// Whether Data may contain placeholders, so that their values are needed.
inline bool has_placeholders(const Quota& quota) {
  return quota.data.find('{') != std::string::npos;
}

// Data with `{used}`, `{limit}`, `{period}` and `{retry_after}` replaced; other words in braces are
// kept. "You sent {used} of {limit} mails per {period}; try again in {retry_after}" becomes "You
// sent 100 of 100 mails per hour; try again in 12 minutes". `retry_after`: how long until the limit
// would let the same mail pass.
std::string quota_answer(const Quota& quota, const QuotaLimit& limit, double used,
                         Millis retry_after);

// "7", or for sizes "90 KiB", "7.8 MiB"; rounded down.
std::string amount_in_words(LimitType type, double amount);
// After "per": "second", "minute", "hour", "day", "10 minutes", "90 seconds".
std::string period_in_words(std::chrono::seconds period);
// The same of a limit: "message" if it is about each message.
std::string period_in_words(const Quota& quota, LimitType type);
// After "in", rounded up, at least one second: "1 second", "12 minutes", "3 hours", "2 days".
std::string wait_in_words(Millis wait);

}  // namespace policyd
