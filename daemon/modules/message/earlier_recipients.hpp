// SPDX-License-Identifier: AGPL-3.0-only
// For limits that look at the whole message: which of its recipients were let through, or counted,
// before this one. Costs nothing where no limit asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/rules/match/own_addresses.hpp"
#include "daemon/rules/track.hpp"
#include "daemon/session/session.hpp"

namespace policyd {

// `counted`: they have counted in this very quota. One may have been let through without: the quota
// did not apply to it, or was not there yet.
enum class Earlier : std::uint8_t { let_through, counted };

// How many recipients of the message were let through with this policy, or counted, and have the
// same track key; counts no further than `enough`. `scratch` is memory for other keys.
struct EarlierQuestion {
  const Session& session;
  const Extensions& extensions;
  Earlier which;
  std::int64_t rules_version;
  std::int64_t policy_id, quota_id;
  const Track& track;
  std::string_view key;  // of this recipient
};
std::size_t earlier_recipients(const EarlierQuestion& question, std::size_t enough,
                               std::string& scratch);

}  // namespace policyd
