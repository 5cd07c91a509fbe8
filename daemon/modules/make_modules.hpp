// SPDX-License-Identifier: AGPL-3.0-only
// Creates the modules that a configuration enables, in the order in which they are asked:
// AccessControl, CheckHelo, CheckSPF, Greylisting, Quotas, Accounting. For the engine, and for the
// command that explains what the engine would answer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/modules/module.hpp"

namespace policyd {

std::vector<std::unique_ptr<Module>> make_modules(const Config& config);
// Their names.
std::vector<std::string> module_names(const Config& config);

}  // namespace policyd
