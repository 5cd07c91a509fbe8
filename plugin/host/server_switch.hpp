// SPDX-License-Identifier: AGPL-3.0-only
// What `enable`, `disable` and `postscreen` share: asking Carbonio about servers, changing their
// attributes, saying what became of each, and what this host's configuration and Postfix say.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hooks/carbonio/server_attributes.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/host/configd_rewrite.hpp"
#include "plugin/host/this_carbonio.hpp"
#include "plugin/terminal/step_report.hpp"

namespace limits {

inline constexpr Option kRewriteTimeoutOption = {
    "rewrite-timeout", "SECONDS",
    "how long configd may take to rewrite the configuration (1 to 3600, default: 60)"};

// --rewrite-timeout, and the port of local config.
tl::expected<Configd, Failure> configd_of(const ThisCarbonio& carbonio, const Arguments& arguments);

// Runs `more` and what the selection asks for in one call; the answers of `more` come first.
struct Asked {
  std::vector<std::string> more;
  carbonio::Directory directory;
};
tl::expected<Asked, Failure> ask_about(const ThisCarbonio& carbonio,
                                       const carbonio::Selection& selection,
                                       const std::vector<std::string>& attributes,
                                       carbonio::Inherited inherited,
                                       const std::vector<carbonio::ProvCommand>& more = {});

// The entry of this host, if it is selected.
const carbonio::Entry* entry_of(const carbonio::Directory& directory, const std::string& server);

// "mail.example.com", "the global configuration".
std::string shown_name(const std::string& name);

// A step for each; where some could not be changed, the Failure says which, which are, and how to
// go on.
Outcome say_changed(const std::vector<carbonio::Changed>& all, StepReport& steps);

// For --dry-run: the commands, one a line as one types them; then that nothing was changed.
void print_dry_run(const std::vector<std::string>& commands, Output& output);
// "echo 'REWRITE mta' | nc 127.0.0.1 7171"
std::string rewrite_as_typed(const Configd& configd, std::string_view sections);

}  // namespace limits
