// SPDX-License-Identifier: AGPL-3.0-only
// Mail addresses as Postfix sends them, without angle brackets. Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// `x@y` without white space and with both parts non-empty (CBPolicyD's check of sender and
// recipient).
[[nodiscard]] bool is_mail_address(std::string_view text);

// The part after the last `@` that is not at the end ("c" of "a@b@c"), or empty; and the part
// before that `@`, or the whole text.
[[nodiscard]] std::string_view domain_of(std::string_view address);
[[nodiscard]] std::string_view local_part_of(std::string_view address);

// Why `text` is not a domain that mail is sent to, in words; empty if it is.
[[nodiscard]] std::string_view problem_with_domain(std::string_view text);

}  // namespace policyd
