// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/make_modules.hpp"

#include "daemon/modules/access_control.hpp"
#include "daemon/modules/accounting.hpp"
#include "daemon/modules/check_helo.hpp"
#include "daemon/modules/check_spf.hpp"
#include "daemon/modules/greylisting.hpp"
#include "daemon/modules/quotas.hpp"

namespace policyd {

std::vector<std::unique_ptr<Module>> make_modules(const Config& config) {
  const bool check_data = config.quotas_algorithm != Algorithm::decay;
  std::vector<std::unique_ptr<Module>> modules;
  if (config.access_control) modules.push_back(std::make_unique<AccessControl>(check_data));
  if (config.check_helo) modules.push_back(std::make_unique<CheckHelo>());
  if (config.check_spf) modules.push_back(std::make_unique<CheckSpf>());
  if (config.greylisting) {
    modules.push_back(std::make_unique<Greylisting>(
        Greylisting::Settings{config.greylisting_training, config.greylisting_defer_message,
                              config.greylisting_blacklist_message}));
  }
  if (config.quotas) {
    modules.push_back(std::make_unique<Quotas>(config.quotas_algorithm, config.quotas_refund));
  }
  if (config.accounting) modules.push_back(std::make_unique<Accounting>(check_data));
  return modules;
}

std::vector<std::string> module_names(const Config& config) {
  std::vector<std::string> names;
  for (const auto& module : make_modules(config)) names.emplace_back(module->name());
  return names;
}

}  // namespace policyd
