// SPDX-License-Identifier: AGPL-3.0-only
// What modules may want to know from the DNS before they decide, and who finds it out. A question
// that wants something leaves its batch, waits, and joins a later one with what was found; nothing
// else waits. The seam between the engine and the resolver.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/base/ip_address.hpp"

namespace policyd {

// What the DNS says of a HELO name: whether it has an A, AAAA or MX record.
enum class HeloFound : std::uint8_t {
  address,         // it has one
  other_records,   // there was an answer, without any of these
  no_such_domain,  // NXDOMAIN
  no_records,      // NOERROR, and an empty answer
  server_failure,  // SERVFAIL
  no_answer,       // anything else: refused, timed out, garbage
};

enum class SpfResult : std::uint8_t { none, neutral, pass, fail, softfail, temperror, permerror };

struct SpfFound {
  SpfResult result = SpfResult::none;
  std::string why;  // printable, of a permerror or temperror; may be empty
};

struct LookupWishes {
  bool helo = false;
  bool spf = false;
  [[nodiscard]] bool any() const { return helo || spf; }
};

// Nothing where it was not wanted, or was skipped: no answer within the deadline (SPF only), or
// too much to do.
struct Lookups {
  std::optional<HeloFound> helo;
  std::optional<SpfFound> spf;
};

struct LookupQuestion {
  LookupWishes wishes;
  std::string helo_name;
  std::string sender;
  IpAddress client_address;
};

class LookupService {
 public:
  using Done = std::function<void(Lookups)>;

  LookupService() = default;
  LookupService(const LookupService&) = delete;
  LookupService& operator=(const LookupService&) = delete;
  virtual ~LookupService() = default;

  // Calls `done` once, on the loop, after this has returned and by the service's deadline. The
  // loop's thread.
  virtual void look_up(LookupQuestion question, Done done) = 0;
};

}  // namespace policyd
