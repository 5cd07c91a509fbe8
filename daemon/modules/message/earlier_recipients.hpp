// SPDX-License-Identifier: AGPL-3.0-only
// For limits that look at the whole message: which of its recipients were let through before this
// one. Costs nothing where no limit asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/rules/match/own_addresses.hpp"
#include "daemon/rules/track.hpp"
#include "daemon/session/session.hpp"

namespace policyd {

// How many recipients of the message were let through and came to this quota with the same track
// key; counts no further than `enough`. `scratch` is memory for other keys.
struct EarlierQuestion {
  const Session& session;
  const Extensions& extensions;
  std::int64_t policy_id;
  const Track& track;
  std::string_view key;  // of this recipient
};
std::size_t earlier_recipients(const EarlierQuestion& question, std::size_t enough,
                               std::string& scratch);

}  // namespace policyd
