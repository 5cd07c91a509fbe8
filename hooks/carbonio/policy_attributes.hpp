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
#include "hooks/carbonio/server_attributes.hpp"

namespace carbonio {

inline constexpr const char* kServicesAttribute = "zimbraServiceEnabled";
inline constexpr const char* kPolicyService = "cbpolicyd";
inline constexpr const char* kMtaService = "mta";

struct ModuleSwitch {
  std::string_view option;  // of `enable`
  const char* name;         // the daemon's
  const char* attribute;
  bool policyd::Config::*in_config;
};

// `enable` always switches on Quotas, and the others if asked.
inline constexpr ModuleSwitch kQuotasSwitch = {"", "Quotas", "zimbraCBPolicydQuotasEnabled",
                                               &policyd::Config::quotas};
inline constexpr std::array<ModuleSwitch, 5> kOtherModules = {{
    {"greylisting", "Greylisting", "zimbraCBPolicydGreylistingEnabled",
     &policyd::Config::greylisting},
    {"access-control", "AccessControl", "zimbraCBPolicydAccessControlEnabled",
     &policyd::Config::access_control},
    {"check-helo", "CheckHelo", "zimbraCBPolicydCheckHeloEnabled", &policyd::Config::check_helo},
    {"check-spf", "CheckSPF", "zimbraCBPolicydCheckSPFEnabled", &policyd::Config::check_spf},
    {"accounting", "Accounting", "zimbraCBPolicydAccountingEnabled", &policyd::Config::accounting},
}};

// What a server must have.
std::vector<AttributeChange> enabling(std::span<const ModuleSwitch> modules);
std::vector<AttributeChange> disabling();

// The names of `modules` that a configuration has switched off.
std::vector<std::string> switched_off(const policyd::Config& config,
                                      std::span<const ModuleSwitch> modules);

}  // namespace carbonio
