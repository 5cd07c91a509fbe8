// SPDX-License-Identifier: AGPL-3.0-only
// A limit for senders from anywhere, and another that takes somebody out of it but counts only mail
// that is authenticated or of this server's networks: whoever names him as the sender from outside
// is limited by neither.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plugin/rows/limits.hpp"

namespace limits {

// What there is to say of it for the limit `id`, which was just written, or for any, with the
// command that mends it; empty where there is nothing. `dry` where it was only tried.
std::string say_outside(const AllLimits& all, std::optional<std::int64_t> id, bool dry);

}  // namespace limits
