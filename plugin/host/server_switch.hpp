// SPDX-License-Identifier: AGPL-3.0-only
// Shared by `enable`, `disable` and `postscreen`: asks Carbonio about servers, changes their
// attributes, and reports the result for each.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "hooks/carbonio/configd.hpp"
#include "hooks/carbonio/server_attributes.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/host/this_carbonio.hpp"
#include "plugin/terminal/step_report.hpp"

namespace limits {

inline constexpr Option kServerOption = {"server", "HOST", "these servers instead of this host",
                                         true};
inline constexpr Option kAllMtaOption = {"all-mta", "", "all MTA hosts of this Carbonio"};
inline constexpr Option kRewriteTimeoutOption = {
    "rewrite-timeout", "SECONDS",
    "wait this long for configd to rewrite the configuration (1 to 3600, default: 60)"};

// What the three commands work on.
struct ServerTask {
  ThisCarbonio carbonio;
  carbonio::Configd configd;
  carbonio::Selection selection;
};
tl::expected<ServerTask, Failure> server_task(const Arguments& arguments, const Context& context);

// Runs `more` and the questions about the selection in one call of `carbonio prov`.
struct ServerAnswers {
  std::vector<std::string> more;  // the answers to `more`
  carbonio::Directory directory;
};
tl::expected<ServerAnswers, Failure> ask_about(const ServerTask& task,
                                               const std::vector<std::string>& attributes,
                                               carbonio::Inherited inherited,
                                               const std::vector<carbonio::ProvCommand>& more = {});

// The entry of this host; null if it is not selected.
const carbonio::Entry* entry_of(const carbonio::Directory& directory, const std::string& server);

// "mail.example.com", "the global configuration".
std::string shown_name(const std::string& name);

// Reports a step for each. If some could not be changed, the Failure names them and the others, and
// how to continue.
Outcome report_changes(const std::vector<carbonio::EntryResult>& all, StepReport& steps);

// The commands that make the changes, as typed in a shell.
std::vector<std::string> commands_for(const carbonio::Directory& directory,
                                      std::span<const carbonio::AttributeChange> changes);

// For --dry-run: the commands, one per line as typed in a shell, and that nothing was changed.
void print_dry_run(const std::vector<std::string>& commands, Output& output);
// "echo 'REWRITE mta' | nc 127.0.0.1 7171"
std::string rewrite_as_typed(const carbonio::Configd& configd, std::string_view sections);

}  // namespace limits
