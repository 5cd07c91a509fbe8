// SPDX-License-Identifier: AGPL-3.0-only
// What other MTAs of a cluster have counted in the counters of this one's limits, and what holds
// while that is not known.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/config/config.hpp"
#include "daemon/counting/window.hpp"

namespace limits {

// By policyd::counter_name; only counters in which others have counted something.
using OtherParts = std::unordered_map<std::string, policyd::Window>;

// Of rows of quotas_limits: the counters with these keys, or all of them.
using AskOthers =
    std::function<policyd::Result<OtherParts>(const std::vector<std::int64_t>& limit_ids,
                                              const std::optional<std::vector<std::string>>& keys)>;

// This host's daemon cannot ask the other MTAs at the moment (without_engine.hpp).
struct Alone {
  policyd::Without without = policyd::Without::share;
  std::size_t hosts = 1;  // that share the limits, with this one
};

}  // namespace limits
