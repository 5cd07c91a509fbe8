// SPDX-License-Identifier: AGPL-3.0-only
// A gap between two limits: one counts mail from anywhere, another replaces it for some senders but
// counts only mail that is authenticated or comes from this server's networks. Mail from outside
// that forges such a sender is then limited by neither.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plugin/rows/limits.hpp"

namespace limits {

// Describes such a gap that involves the limit `id`, which was just written, or any limit, with the
// command that closes it; empty if there is none. `dry`: nothing was committed.
std::string forgery_gap_note(const AllLimits& all, std::optional<std::int64_t> id, bool dry);

}  // namespace limits
