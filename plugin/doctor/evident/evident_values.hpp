// SPDX-License-Identifier: AGPL-3.0-only
// What a value that the daemon does not understand was evidently meant to be: "1h" is 3600 in a
// column of seconds, "SenderIP:24" is "SenderIP:/24". Nullopt if that takes guessing. Pure
// functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace limits {

// "1,000", "1 000" and " 100 " in a column of numbers.
std::optional<std::string> evident_number(std::string_view text);
// Likewise "1h", "10 minutes" and "3,600" in a column of seconds.
std::optional<std::string> evident_seconds(std::string_view text);
std::optional<std::string> evident_track(std::string_view text);
// Of Greylisting, which takes SenderIP only.
std::optional<std::string> evident_client_track(std::string_view text);
// Of Quotas and Accounting.
std::optional<std::string> evident_limit_verdict(std::string_view text);
std::optional<std::string> evident_access_verdict(std::string_view text);
std::optional<std::string> evident_limit_type(std::string_view text);
// 0, 1 or 2.
std::optional<std::string> evident_accounting_period(std::string_view text);
// "SenderIP:192.0.2.0/24" of the whitelists.
std::optional<std::string> evident_whitelist_source(std::string_view text);

// Without white space at both ends, that of other scripts included.
std::string_view trimmed_item(std::string_view text);

// "1" of a word that says yes, "0" of one that says no, for a column that is 1 where it is on.
std::optional<std::string> evident_switch(std::string_view text);

}  // namespace limits
