// SPDX-License-Identifier: AGPL-3.0-only
// The extension of an address, "+news" of "anna+news@example.org", which Postfix leaves off to find
// the user (recipient_delimiter of postconf(5)). Pure functions; any thread.
#pragma once

#include <string_view>

namespace policyd {

// What Postfix takes `local_part`, in the form of names, for: "anna" of "anna+news" if '+' is one
// of `delimiters`. Names that it does not split stay whole: MAILER-DAEMON, postmaster,
// double-bounce, and with '-' as a delimiter owner-x and x-request. So do addresses rewritten by
// SRS: what follows "srs0+" is another sender each time.
[[nodiscard]] std::string_view without_extension(std::string_view local_part,
                                                 std::string_view delimiters);

}  // namespace policyd
