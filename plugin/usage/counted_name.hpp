// SPDX-License-Identifier: AGPL-3.0-only
// By which name a user is counted: of an own address without the extension.
#pragma once

#include <string>
#include <string_view>

#include "daemon/config/config.hpp"
#include "plugin/database/change_set.hpp"

namespace limits {

// `who` unless it is an address with an extension.
std::string counted_name(const Tables& tables, const policyd::Config& config, std::string_view who);

}  // namespace limits
