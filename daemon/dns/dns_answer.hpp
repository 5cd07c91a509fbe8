// SPDX-License-Identifier: AGPL-3.0-only
// What the DNS said to one question. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace policyd {

enum class DnsType : std::uint16_t { a = 1, ptr = 12, mx = 15, txt = 16, aaaa = 28 };

enum class DnsStatus : std::uint8_t {
  ok,              // NOERROR, with or without records
  no_such_domain,  // NXDOMAIN
  server_failure,  // SERVFAIL
  no_answer,       // refused, unreachable, garbage, or too much to do
  timed_out,       // nothing came by the deadline
};

struct DnsAnswer {
  DnsStatus status = DnsStatus::no_answer;
  bool answered = false;  // the answer holds records, of whatever type
  // Those of the type that was asked for, wherever CNAMEs led. A and AAAA: 4 and 16 bytes in
  // network order; MX and PTR: names, without a dot at the end, as written except that unusual
  // characters are escaped with a backslash; TXT: its strings joined.
  std::vector<std::string> records;
};

// Reads a message; its answer section is believed, since it comes from a resolver of the
// administrator's choice. Nullopt where it is malformed. At most kMostRecords are taken.
inline constexpr std::size_t kMostRecords = 256;
std::optional<DnsAnswer> parse_dns_answer(std::span<const unsigned char> message, DnsType type);

// A name that is worth looking up: 1 to 253 characters, labels of 1 to 63 letters, digits, `-`, `_`
// and, for SPF's sake, `+`, `=` and `@`; one dot at the end is fine.
bool is_dns_name(std::string_view text);

}  // namespace policyd
