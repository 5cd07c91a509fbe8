// SPDX-License-Identifier: AGPL-3.0-only
// Whether the sender's domain allows the client to send for it: SPF (RFC 7208), scope MAIL FROM, by
// libspf2. libspf2 never waits: its DNS layer only has the answers received so far. If it needs
// another, the evaluation is thrown away, the resolver is queried, and everything is evaluated
// again when the answer is there. So no thread waits for a name server, and a thousand waiting
// checks cost only memory. An evaluation takes microseconds, and there are at most kMaxLookups.
//
// Everything libspf2 sees is bounded first: records without macros (spf_sanitiser.hpp), names from
// answers, the sender's domain. Its own texts and headers are not used. It lets a client on the
// loopback interface pass without a query.
#pragma once

#include <functional>
#include <optional>

#include "daemon/dns/lookup_service.hpp"
#include "daemon/dns/resolver.hpp"
#include "daemon/dns/spf_sanitiser.hpp"

namespace policyd {

// RFC 7208 allows ten mechanisms that query the DNS, with ten names each; and some more.
inline constexpr std::size_t kMaxLookups = 128;

// Of a question with a sender. Calls `done` once on the resolver's thread; with nullopt if there is
// no result by the deadline. Any thread.
void check_spf(Resolver& resolver, SpfIdentity question, Resolver::Deadline deadline,
               std::function<void(std::optional<SpfFound>)> done);

}  // namespace policyd
