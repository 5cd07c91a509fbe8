// SPDX-License-Identifier: AGPL-3.0-only
// What `explain --json` prints, a stable format that the manual page describes.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "plugin/explain/explain.hpp"

namespace limits {

nlohmann::json json_of(const Mail& mail, const Explanation& explanation);

}  // namespace limits
