// SPDX-License-Identifier: AGPL-3.0-only
// Notes for the admin who gives steps (--then), or has them shown: what may not be expected of
// them. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "plugin/limit/steps.hpp"

namespace limits {

// Sentences without their full stop.
std::vector<std::string> step_notes(const std::vector<Step>& steps, const policyd::Config& config);

}  // namespace limits
