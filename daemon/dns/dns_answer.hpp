// SPDX-License-Identifier: AGPL-3.0-only
// The answer of the DNS to one question. Pure; any thread.
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
  no_answer,       // refused, unreachable, malformed, or too many queries
  timed_out,       // no answer by the deadline
};

struct DnsAnswer {
  DnsStatus status = DnsStatus::no_answer;
  bool answered = false;  // the answer has records, of any type
  // Those of the requested type, at the end of any CNAMEs. A and AAAA: 4 and 16 bytes in network
  // order; MX and PTR: names without a final dot, unusual characters escaped with a backslash; TXT:
  // its strings joined.
  std::vector<std::string> records;
};

// Reads a message. Its answer section is trusted, since it comes from a resolver the administrator
// chose. Nullopt if it is malformed. At most kMaxRecords are read.
inline constexpr std::size_t kMaxRecords = 256;
std::optional<DnsAnswer> parse_dns_answer(std::span<const unsigned char> message, DnsType type);

// Whether a name can be looked up: 1 to 253 characters, labels of 1 to 63 letters, digits, `-`, `_`
// and, for SPF, `+`, `=` and `@`; one dot at the end is allowed.
bool is_dns_name(std::string_view text);

}  // namespace policyd
