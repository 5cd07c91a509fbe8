// SPDX-License-Identifier: AGPL-3.0-only
// One form for each mail address, domain and login name, however it is written: what is compared
// and counted, in requests, rules and at the command line alike. Otherwise each spelling of a name
// would have a limit of its own.
//
// Domains: as in the DNS, in lower case and IDNA (UTS #46, as Postfix does it): "EXÄMPLE.org" and
// "xn--exmple-cua.org" are "xn--exmple-cua.org". Local parts and logins: case-folded and composed
// (Unicode NFC). Plain ASCII is only put into lower case; text that is not UTF-8 too. The dot that
// may end a domain is not part of it, as in the DNS. Each form is its own form. Pure functions; any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace policyd {

[[nodiscard]] bool is_ascii(std::string_view text);

// Also of patterns with `*`. A label of a domain that has one is case-folded only: see
// domain_match().
[[nodiscard]] std::string address_form(std::string_view address);
[[nodiscard]] std::string domain_form(std::string_view domain);

// What address_form() leaves of plain ASCII in lower case.
[[nodiscard]] std::string_view address_without_final_dot(std::string_view address);

// Without the white space around it. A login with an `@` is an address.
[[nodiscard]] std::string login_form(std::string_view login);

// wildcard_match() of two domain forms. A pattern like "*ämple.org" is compared with the letters
// that the "xn--" labels stand for.
[[nodiscard]] bool domain_match(std::string_view pattern, std::string_view domain);

}  // namespace policyd
