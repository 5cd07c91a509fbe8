// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/step_notes.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace limits {

std::vector<std::string> step_notes(const std::vector<Step>& steps, const policyd::Config& config) {
  std::vector<std::string> out;
  const auto lasting = std::find_if(steps.begin(), steps.end(), [](const Step& step) {
    return !step.duration && (step.kind == Step::Kind::hold || step.kind == Step::Kind::block);
  });
  if (lasting != steps.end()) {
    out.push_back(
        fmt::format("'{0}' without a duration lasts until 'carbonio-limits unblock'; {0}:1h ends "
                    "by itself",
                    name_of(lasting->kind)));
  }
  if (!steps.empty() && config.notify_to.empty() && config.notify_command.empty()) {
    out.emplace_back("no one gets notices; 'carbonio-limits notify --to ADDRESS' sends them");
  }
  return out;
}

}  // namespace limits
