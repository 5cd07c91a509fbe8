// SPDX-License-Identifier: AGPL-3.0-only
// The one table of all modules: what each is called in the configuration, in Carbonio and in the
// database. A new module is added here, in config_table, and in modules/make_modules.
#pragma once

#include <array>
#include <stdexcept>
#include <string_view>

#include "daemon/config/config.hpp"

namespace policyd {

struct ModuleInfo {
  std::string_view name;       // of its section, in [server] modules, and in log lines
  std::string_view option;     // of `carbonio-limits enable`
  std::string_view attribute;  // of a server in Carbonio's directory
  std::string_view table;      // of its rows, which name a policy in PolicyID
  bool Config::*in_config;     // whether it runs
};

// In the order in which they are asked.
inline constexpr std::array kModules = {
    ModuleInfo{"AccessControl", "access-control", "zimbraCBPolicydAccessControlEnabled",
               "access_control", &Config::access_control},
    ModuleInfo{"CheckHelo", "check-helo", "zimbraCBPolicydCheckHeloEnabled", "checkhelo",
               &Config::check_helo},
    ModuleInfo{"CheckSPF", "check-spf", "zimbraCBPolicydCheckSPFEnabled", "checkspf",
               &Config::check_spf},
    ModuleInfo{"Greylisting", "greylisting", "zimbraCBPolicydGreylistingEnabled", "greylisting",
               &Config::greylisting},
    ModuleInfo{"Quotas", "quotas", "zimbraCBPolicydQuotasEnabled", "quotas", &Config::quotas},
    ModuleInfo{"Accounting", "accounting", "zimbraCBPolicydAccountingEnabled", "accounting",
               &Config::accounting},
};

// For names that the code knows: an unknown one does not compile.
consteval const ModuleInfo& module_named(std::string_view name) {
  for (const ModuleInfo& module : kModules) {
    if (module.name == name) return module;
  }
  throw std::invalid_argument("no such module");
}

}  // namespace policyd
