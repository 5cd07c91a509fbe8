// SPDX-License-Identifier: AGPL-3.0-only
// Makes a foreign SPF record safe for libspf2. libspf2 1.2.10 had memory errors when it compiled
// and expanded macros (CVE-2021-20314, CVE-2021-33912, CVE-2021-33913, and CVE-2023-42118, for
// which no fix is certain), and Debian's drops a character of %{d2}. So it sees no macros, and only
// the terms that decide, well within its fixed buffers:
//
//   - printable ASCII only, at most 4096 characters, at most 255 per term;
//   - macros (RFC 7208, 7) are expanded here; the deprecated %{p} is always "unknown"; a character
//     that no host name has makes the name one that does not exist;
//   - explanations (exp=) and modifiers other than redirect= are left out: they decide nothing;
//   - ip4 and ip6 terms that do not contain the client's address are left out, which also makes
//     records pass that are too long for libspf2.
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

// The values of macros.
struct SpfIdentity {
  IpAddress client;
  std::string sender;     // x@y
  std::string helo_name;  // may be anything
};

// The record of `domain` that libspf2 may see; nullopt if it is invalid, which is a permanent
// error.
std::optional<std::string> safe_spf_record(std::string_view text, std::string_view domain,
                                           const SpfIdentity& who);

}  // namespace policyd
