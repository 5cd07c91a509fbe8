// SPDX-License-Identifier: AGPL-3.0-only
// The daemon's figures in Prometheus' text format, for `carbonio-limits metrics` and for the file
// that the daemon writes. No name or address is in it without [metrics] top_senders. Pure.
#pragma once

#include <optional>
#include <string>

#include "daemon/status/status.hpp"

namespace policyd {

// `up`: the daemon runs and answers. Without `status` that is all that is known.
std::string metrics_text(bool up, const std::optional<Status>& status);

}  // namespace policyd
