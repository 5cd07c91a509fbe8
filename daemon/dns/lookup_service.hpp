// SPDX-License-Identifier: AGPL-3.0-only
// The DNS lookups that modules need before they decide. A question that needs one leaves its batch,
// waits, and joins a later batch with the result; nothing else waits. The seam between the engine
// and the resolver.
#pragma once

#include <boost/core/noncopyable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "daemon/base/ip_address.hpp"

namespace policyd {

// Whether a HELO name has an A, AAAA or MX record.
enum class HeloFound : std::uint8_t {
  address,         // it has one
  other_records,   // an answer without any of these
  no_such_domain,  // NXDOMAIN
  no_records,      // NOERROR, and an empty answer
  server_failure,  // SERVFAIL
  no_answer,       // anything else: refused, timed out, malformed
};

enum class SpfResult : std::uint8_t { none, neutral, pass, fail, softfail, temperror, permerror };

struct SpfFound {
  SpfResult result = SpfResult::none;
  std::string why;  // printable; for permerror and temperror; may be empty
};

struct NeededLookups {
  bool helo = false;
  bool spf = false;
  [[nodiscard]] bool any() const { return helo || spf; }
};

// Nullopt if it was not needed, or skipped: no answer by the deadline (SPF only), or too many
// lookups.
struct Lookups {
  std::optional<HeloFound> helo;
  std::optional<SpfFound> spf;
};

struct LookupQuestion {
  NeededLookups needed;
  std::string helo_name;
  std::string sender;
  IpAddress client_address;
};

class LookupService : boost::noncopyable {
 public:
  using Done = std::function<void(Lookups)>;

  virtual ~LookupService() = default;

  // Calls `done` once on the loop, after this function has returned and by the service's deadline.
  // The loop's thread.
  virtual void look_up(LookupQuestion question, Done done) = 0;
};

}  // namespace policyd
