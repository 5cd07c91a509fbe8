// SPDX-License-Identifier: AGPL-3.0-only
// Mail addresses as Postfix sends them, without angle brackets. Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// Whether a sender or recipient can be decided about: `x@y` without white space in the domain, or a
// name without a domain. Postfix passes `root`, `MAILER-DAEMON` and `max mustermann@example.org`
// (without the quotation marks of SMTP); which of them are addresses is for Postfix to say.
[[nodiscard]] bool is_mail_address(std::string_view text);

// The part after the last `@` that is not at the end ("c" of "a@b@c"), or empty; and the part
// before that `@`, or the whole text.
[[nodiscard]] std::string_view domain_of(std::string_view address);
[[nodiscard]] std::string_view local_part_of(std::string_view address);

// A login name as it is counted: a blank at either end is not part of it.
[[nodiscard]] std::string_view without_outer_blanks(std::string_view text);

// Why `text` is not a domain that mail is sent to, in words; empty if it is.
[[nodiscard]] std::string_view problem_with_domain(std::string_view text);

// Whether notices may be sent to `text`: "anna@example.org", not what a mail program could take for
// an option, a list of addresses or a header, or the configuration for a comment.
[[nodiscard]] bool is_notice_address(std::string_view text);

}  // namespace policyd
