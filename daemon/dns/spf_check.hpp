// SPDX-License-Identifier: AGPL-3.0-only
// Whether the sender's domain lets the client send for it: SPF (RFC 7208), scope MAIL FROM, by
// libspf2, which is never made to wait: its DNS layer knows only what is there already. Where
// libspf2 asks for more, that evaluation is thrown away, the resolver asked, and all of it
// evaluated anew when the answer has come. So no thread waits for a name server, and a thousand
// checks that do cost memory only. An evaluation takes microseconds, and there are at most
// kMostLookups.
//
// Everything that libspf2 gets to see is bounded before: records, without macros (spf_record.hpp),
// names from answers, the sender's domain. Its own texts and headers are not used. It lets a client
// on the loopback pass without asking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/base/ip_address.hpp"
#include "daemon/dns/lookup_service.hpp"
#include "daemon/dns/resolver.hpp"

namespace policyd {

struct SpfQuestion {
  IpAddress client;
  std::string sender;     // not empty
  std::string helo_name;  // may be anything
};

// Ten mechanisms that look up, each with ten names behind it, and what belongs to them; RFC 7208
// allows no more.
inline constexpr std::size_t kMostLookups = 128;

// Calls `done` once, on the resolver's thread: with nothing where there was no result by the
// deadline. Any thread.
void check_spf(Resolver& resolver, SpfQuestion question, Resolver::Deadline deadline,
               std::function<void(std::optional<SpfFound>)> done);

}  // namespace policyd
