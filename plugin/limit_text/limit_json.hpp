// SPDX-License-Identifier: AGPL-3.0-only
// A limit as JSON: the objects of `list --json` and `show --json`, a stable format that the manual
// page documents.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "plugin/rows/limits.hpp"

namespace limits {

nlohmann::json json_of(const StoredLimit& limit);

}  // namespace limits
