// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/policy_attributes.hpp"

#include <array>

namespace carbonio {

std::span<const ModuleSwitch> other_modules() {
  using policyd::Config;
  static constexpr std::array<ModuleSwitch, 5> kAll = {{
      {"greylisting", "Greylisting", "zimbraCBPolicydGreylistingEnabled", &Config::greylisting},
      {"access-control", "AccessControl", "zimbraCBPolicydAccessControlEnabled",
       &Config::access_control},
      {"check-helo", "CheckHelo", "zimbraCBPolicydCheckHeloEnabled", &Config::check_helo},
      {"check-spf", "CheckSPF", "zimbraCBPolicydCheckSPFEnabled", &Config::check_spf},
      {"accounting", "Accounting", "zimbraCBPolicydAccountingEnabled", &Config::accounting},
  }};
  return kAll;
}

std::vector<Wish> enabling(std::span<const ModuleSwitch> modules) {
  std::vector<Wish> out = {{Wish::Act::add, kServicesAttribute, kPolicyService}};
  for (const ModuleSwitch& module : modules) {
    out.push_back({Wish::Act::set, module.attribute, "TRUE"});
  }
  return out;
}

std::vector<Wish> disabling() { return {{Wish::Act::remove, kServicesAttribute, kPolicyService}}; }

std::vector<std::string> switched_off(const policyd::Config& config,
                                      std::span<const ModuleSwitch> modules) {
  std::vector<std::string> out;
  for (const ModuleSwitch& module : modules) {
    if (!(config.*module.in_config)) out.emplace_back(module.name);
  }
  return out;
}

}  // namespace carbonio
