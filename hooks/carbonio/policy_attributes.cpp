// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/policy_attributes.hpp"

namespace carbonio {

using Action = AttributeChange::Action;

std::vector<AttributeChange> enabling(std::span<const ModuleSwitch> modules) {
  std::vector<AttributeChange> out = {{Action::add, kServicesAttribute, kPolicyService}};
  for (const ModuleSwitch& module : modules) {
    out.push_back({Action::set, std::string{module.attribute}, "TRUE"});
  }
  return out;
}

std::vector<AttributeChange> disabling() {
  return {{Action::remove, kServicesAttribute, kPolicyService}};
}

std::vector<std::string> switched_off(const policyd::Config& config,
                                      std::span<const ModuleSwitch> modules) {
  std::vector<std::string> out;
  for (const ModuleSwitch& module : modules) {
    if (!(config.*module.in_config)) out.emplace_back(module.name);
  }
  return out;
}

}  // namespace carbonio
