// SPDX-License-Identifier: AGPL-3.0-only
// The mail that `simulate` and `suggest` try limits on, and the database whose limits they are.
#pragma once

#include <string>
#include <vector>

#include "plugin/cli/command.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/simulate/past_mail.hpp"

namespace limits {

struct LoadedMail {
  DaemonConfig daemon;
  OpenDatabase database;
  PastMail mail;
};

inline constexpr Option kPastSinceOption = {
    "since", "TIME",
    "only mail since then: 7day (ago), yesterday, 2026-11-25 or '2026-11-25 09:00' (default: 7day, "
    "or all of the files that are named)"};

// Reads --since. Files are opened as the user who runs the command, before becoming the owner of
// the database.
tl::expected<LoadedMail, Failure> load_past_mail(const Arguments& arguments,
                                                 const std::vector<std::string>& files,
                                                 const Context& context);

// Whether a word is the name of a file: "-" is, and so is what cannot be a limit.
bool is_file_word(const std::string& word);

}  // namespace limits
