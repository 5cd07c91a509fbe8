// SPDX-License-Identifier: AGPL-3.0-only
// What a stranger's SPF record may look like before libspf2 sees it. libspf2 1.2.10 had memory
// faults in compiling and expanding macros (CVE-2021-20314, CVE-2021-33912, CVE-2021-33913,
// CVE-2023-42118, of which the last has no fix with certainty), and Debian's drops a character of
// %{d2}. So it gets to see no macro, and only what decides, well within its fixed buffers:
//
//   - printable ASCII only, at most 4096 characters, a term at most 255;
//   - macros (RFC 7208, 7) are expanded here; %{p}, which nobody should use, is always "unknown";
//     a character that no host name has makes the name one that does not exist;
//   - explanations (exp=) and other modifiers but redirect= are left out: they decide nothing;
//   - ip4 and ip6 terms that do not hold the client's address are left out, which also lets
//     records pass that libspf2 finds too long.
//
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/ip_address.hpp"

namespace policyd {

// Whether a TXT record is an SPF record: "v=spf1", alone or followed by a space.
bool is_spf_record(std::string_view text);

// Who asks, for macros.
struct SpfIdentity {
  IpAddress client;
  std::string_view sender;  // x@y
  std::string_view helo_name;
};

// The record of `domain` that libspf2 may see; nullopt where there is none, which is a permanent
// error.
std::optional<std::string> safe_spf_record(std::string_view text, std::string_view domain,
                                           const SpfIdentity& who);

}  // namespace policyd
