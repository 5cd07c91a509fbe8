// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/registry.hpp"

#include "plugin/commands/commands.hpp"

namespace limits {

std::vector<const Command*> all_commands() {
  return {&kEnable, &kDisable, &kInit,       &kSync,      &kHook,    &kSend,    &kReceive,
          &kList,   &kShow,    &kSet,        &kOn,        &kOff,     &kRemove,  &kExport,
          &kImport, &kUsage,   &kReset,      &kBackup,    &kRestore, &kRelease, &kExplain,
          &kDoctor, &kService, &kPostscreen, &kCompletion};
}

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> names;
  for (const Command* command : all_commands()) names.push_back(command->name);
  return names;
}

}  // namespace limits
