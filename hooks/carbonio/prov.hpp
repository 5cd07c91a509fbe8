// SPDX-License-Identifier: AGPL-3.0-only
// `carbonio prov`, the only way in which this project queries or changes Carbonio. Each call starts
// a JVM (seconds), so all questions go into one. Argument vectors and standard input only, never a
// shell. For a process with one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "hooks/carbonio/prov_output.hpp"

namespace carbonio {

using ProvCommand = std::vector<std::string>;  // {"gs", "mail.example.com", "zimbraServiceEnabled"}

// Whether Carbonio's programs are installed.
bool has_prov(const std::filesystem::path& zextras_home);

struct ProvAnswers {
  std::vector<std::string> answers;  // one for each command; mostly empty if it failed
  std::vector<ProvError> errors;     // in the order of the commands that failed
};

struct Prov {
  std::filesystem::path zextras_home;
  std::string user = "zextras";                // Carbonio's programs must run as this user
  std::chrono::milliseconds deadline{60'000};  // then the whole process group is killed

  // Runs all commands in one JVM, in order, also those after one that failed: batch mode's exit
  // status does not show failures, so check the errors and the answers. An Error, in one line,
  // means that nothing is known: it is not installed, cannot be started, hangs, died half-way,
  // prints too much, or this is the wrong user. Words must not contain control characters.
  [[nodiscard]] policyd::Result<ProvAnswers> ask(std::span<const ProvCommand> commands) const;
};

// "carbonio prov ms mail.example.com +zimbraServiceEnabled cbpolicyd", quoted for a shell.
std::string as_typed(const ProvCommand& command);

}  // namespace carbonio
