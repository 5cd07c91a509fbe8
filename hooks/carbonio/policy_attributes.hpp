// SPDX-License-Identifier: AGPL-3.0-only
// Switching the policy service on: the attributes of a server, and the modules that the generated
// configuration then has.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/config/module_table.hpp"
#include "hooks/carbonio/server_attributes.hpp"

namespace carbonio {

inline constexpr const char* kServicesAttribute = "zimbraServiceEnabled";
inline constexpr const char* kPolicyService = "cbpolicyd";
inline constexpr const char* kMtaService = "mta";

using ModuleSwitch = policyd::ModuleInfo;

// `enable` always switches on Quotas, and the others if asked.
inline constexpr ModuleSwitch kQuotasSwitch = policyd::module_named("Quotas");
inline constexpr std::array kOtherModules = {
    policyd::module_named("Greylisting"), policyd::module_named("AccessControl"),
    policyd::module_named("CheckHelo"),   policyd::module_named("CheckSPF"),
    policyd::module_named("Accounting"),
};

// What a server must have.
std::vector<AttributeChange> enabling(std::span<const ModuleSwitch> modules);
std::vector<AttributeChange> disabling();

// The names of `modules` that a configuration has switched off.
std::vector<std::string> switched_off(const policyd::Config& config,
                                      std::span<const ModuleSwitch> modules);

}  // namespace carbonio
