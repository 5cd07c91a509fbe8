// SPDX-License-Identifier: AGPL-3.0-only
// The policy service on this host, a step at a time, as `enable` and `disable` switch it: its
// generated configuration, its database, the mark for the next boot, the process, and Postfix.
// Each function says its step, or returns what went wrong.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hooks/carbonio/group_sync.hpp"
#include "hooks/carbonio/policy_attributes.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/host/configd_rewrite.hpp"
#include "plugin/postfix/postfix_view.hpp"
#include "plugin/terminal/step_report.hpp"

namespace limits {

class HostService {
 public:
  HostService(const Context& context, Configd configd)
      : home_(context.zextras_home),
        search_path_(context.search_path),
        configd_(configd),
        was_on_(is_switched_on()) {}

  // Whether `enable` was here before, when this was made.
  [[nodiscard]] bool was_on() const { return was_on_; }

  // What `enable` would do here, as typed.
  [[nodiscard]] policyd::Result<std::vector<std::string>> to_be_done(
      const carbonio::Wanted& wanted) const;

  // The generated configuration: there is one.
  policyd::Result<void> have_configuration(StepReport& steps) const;
  // The database with its groups.
  policyd::Result<void> have_database(const carbonio::Wanted& wanted, StepReport& steps,
                                      Output& output) const;
  // Running, and at the next boot too.
  policyd::Result<void> start(StepReport& steps) const;
  policyd::Result<void> stop(StepReport& steps) const;

  // Configuration and Postfix follow the attributes; the daemon follows the configuration.
  void follow(std::span<const carbonio::ModuleSwitch> modules, bool attributes_changed,
              StepReport& steps) const;
  // Postfix no longer asks; an Error where it does.
  policyd::Result<void> leave_postfix(bool attributes_changed, StepReport& steps) const;

  [[nodiscard]] bool is_followed(std::span<const carbonio::ModuleSwitch> modules) const;
  [[nodiscard]] bool is_stopped() const;
  // Whether the daemon answers, and works as it is configured.
  void verify(StepReport& steps) const;

 private:
  [[nodiscard]] std::optional<policyd::Config> configuration() const;
  [[nodiscard]] PostfixView postfix() const;
  [[nodiscard]] bool is_switched_on() const;
  void reload_where_needed(const std::optional<policyd::Config>& before, StepReport& steps) const;

  std::filesystem::path home_;
  std::string search_path_;
  Configd configd_;
  bool was_on_;
};

}  // namespace limits
