// SPDX-License-Identifier: AGPL-3.0-only
// Mail addresses as Postfix gives them, without angle brackets. Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// `x@y` without white space, both parts not empty (CBPolicyD's check of sender and recipient).
[[nodiscard]] bool is_mail_address(std::string_view text);

// The part behind the last `@` that has something behind it ("c" of "a@b@c"), or empty; the part in
// front of it, or all.
[[nodiscard]] std::string_view domain_of(std::string_view address);
[[nodiscard]] std::string_view local_part_of(std::string_view address);

}  // namespace policyd
