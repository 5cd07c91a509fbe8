// SPDX-License-Identifier: AGPL-3.0-only
// What switching the policy service on means: the attributes of a server, and the modules that the
// generated configuration has then.
#pragma once

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

// Quotas, and those that are switched on when asked for.
inline constexpr ModuleSwitch kQuotasSwitch = {"", "Quotas", "zimbraCBPolicydQuotasEnabled",
                                               &policyd::Config::quotas};
std::span<const ModuleSwitch> other_modules();

// What has to be so on a server.
std::vector<Wish> enabling(std::span<const ModuleSwitch> modules);
std::vector<Wish> disabling();

// Those that a configuration has switched off.
std::vector<std::string> switched_off(const policyd::Config& config,
                                      std::span<const ModuleSwitch> modules);

}  // namespace carbonio
