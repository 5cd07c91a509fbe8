// SPDX-License-Identifier: AGPL-3.0-only
// The policy service on this host, as `enable` and `disable` switch it step by step: its generated
// configuration, its database, the mark for the next boot, the process, and Postfix. Each function
// reports its step, or returns what went wrong.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "hooks/carbonio/configd.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "hooks/carbonio/policy_attributes.hpp"
#include "hooks/service/service.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/postfix/copied_setting.hpp"
#include "plugin/postfix/postfix_asks.hpp"
#include "plugin/terminal/step_report.hpp"

namespace limits {

class HostService {
 public:
  HostService(const Context& context, carbonio::Configd configd)
      : home_(context.zextras_home),
        search_path_(context.search_path),
        configd_(configd),
        was_on_(carbonio::is_switched_on(context.zextras_home)) {}

  // Whether the service was switched on when this object was constructed.
  [[nodiscard]] bool was_on() const { return was_on_; }

  // The commands that `enable` would run here, as typed in a shell.
  [[nodiscard]] policyd::Result<std::vector<std::string>> commands_for(
      const carbonio::WantedMembers& wanted) const;

  // Has the configuration generated if it is missing.
  policyd::Result<void> ensure_configuration(StepReport& steps) const;
  // Has the daemon use Postfix's recipient_delimiter and myorigin, if they are known.
  policyd::Result<void> ensure_postfix_settings(StepReport& steps) const;
  // Creates the database if it is missing, and updates its groups.
  policyd::Result<void> ensure_database(const carbonio::WantedMembers& wanted, StepReport& steps,
                                        Output& output) const;
  // Now and at boot.
  policyd::Result<void> start(StepReport& steps) const;
  policyd::Result<void> stop(StepReport& steps) const;

  // Has configuration and Postfix follow the attributes, and the daemon the configuration.
  void apply_attributes(std::span<const carbonio::ModuleSwitch> modules, bool attributes_changed,
                        StepReport& steps) const;
  // Waits until Postfix no longer asks the daemon; an Error if it still does.
  policyd::Result<void> leave_postfix(bool attributes_changed, StepReport& steps) const;

  [[nodiscard]] bool attributes_applied(std::span<const carbonio::ModuleSwitch> modules) const;
  [[nodiscard]] bool is_stopped() const;
  // Reports whether the daemon answers and works as configured.
  void verify(StepReport& steps) const;

 private:
  [[nodiscard]] std::optional<policyd::Config> configuration() const;
  [[nodiscard]] PostfixView postfix() const;
  // Those of Postfix's settings that the daemon should use but does not, with their values.
  [[nodiscard]] std::vector<std::pair<CopiedSetting, std::string>> other_settings() const;
  void reload_if_needed(const std::optional<policyd::Config>& before, StepReport& steps) const;

  std::filesystem::path home_;
  std::string search_path_;
  carbonio::Configd configd_;
  bool was_on_;
};

}  // namespace limits
