// SPDX-License-Identifier: AGPL-3.0-only
// The domain of an address that was typed without one: Postfix's trivial-rewrite(8) adds it before
// mail is queued, and smtpd has the address checked before that. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>

namespace policyd {

// Whether Postfix rewrites it: it has no `@`, and is not the empty sender.
[[nodiscard]] bool lacks_domain(std::string_view address);

// What Postfix makes of an address without `@`, with its defaults swap_bangpath = yes and
// allow_percent_hack = yes: "anna@example.org" of "example.org!anna", of "anna%example.org", and,
// where `myorigin` is example.org, of "anna".
[[nodiscard]] std::string with_domain(std::string_view address, std::string_view myorigin);

}  // namespace policyd
