// SPDX-License-Identifier: AGPL-3.0-only
// The subcommands, each defined in a file of its own, and the table of them, from which help,
// completion and the parser are made.
#pragma once

#include <vector>

#include "plugin/cli/command.hpp"

namespace limits {

extern const Command kEnable;
extern const Command kDisable;
extern const Command kInit;
extern const Command kSync;
extern const Command kHook;
extern const Command kSend;
extern const Command kReceive;
extern const Command kList;
extern const Command kShow;
extern const Command kSet;
extern const Command kOn;
extern const Command kOff;
extern const Command kRemove;
extern const Command kExport;
extern const Command kImport;
extern const Command kUsage;
extern const Command kSimulate;
extern const Command kSuggest;
extern const Command kRefused;
extern const Command kHistory;
extern const Command kChanges;
extern const Command kBlock;
extern const Command kUnblock;
extern const Command kBlocked;
extern const Command kSignal;
extern const Command kAnswer;
extern const Command kNotify;
extern const Command kReset;
extern const Command kBackup;
extern const Command kRestore;
extern const Command kRelease;
extern const Command kCompletion;
extern const Command kExplain;
extern const Command kDoctor;
extern const Command kService;
extern const Command kMetrics;
extern const Command kCluster;
extern const Command kPause;
extern const Command kResume;
extern const Command kPostscreen;
extern const Command kWeb;

// In the order of the help.
std::vector<const Command*> all_commands();
std::vector<std::string_view> command_names();

}  // namespace limits
