// SPDX-License-Identifier: AGPL-3.0-only
// `carbonio prov`, the only way this project asks Carbonio for something or changes it. Each call
// starts a JVM (seconds), so all questions go into one. Argument vectors and standard input only,
// never a shell. For a program with one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "hooks/carbonio/localconfig.hpp"
#include "hooks/carbonio/prov_output.hpp"

namespace carbonio {

using ProvCommand = std::vector<std::string>;  // {"gs", "mail.example.com", "zimbraServiceEnabled"}

struct ProvSettings {
  std::filesystem::path zextras_home;
  std::string user = "zextras";                // whom Carbonio's programs must run as
  std::chrono::milliseconds deadline{60'000};  // then the whole process group is ended
  std::size_t most_output = std::size_t{8} << 20;
};

// The user is the key `zimbra_user`, where local config has it.
policyd::Result<ProvSettings> prov_settings(const std::filesystem::path& zextras_home,
                                            const LocalConfig& local_config);

// Whether Carbonio's programs are here at all.
bool has_prov(const std::filesystem::path& zextras_home);

struct ProvAnswers {
  std::vector<std::string> answers;  // of each command; what failed has mostly an empty one
  std::vector<ProvError> errors;     // in the order of the commands that failed
};

class Prov {
 public:
  explicit Prov(ProvSettings settings) : settings_(std::move(settings)) {}

  // Runs all commands in one JVM, one after the other, also behind one that failed: batch mode's
  // exit status does not tell, so see the errors and the answers. An Error says, in one line, that
  // nothing can be known: it is not here, cannot be started, hangs, died half-way, says too much,
  // or this is the wrong user. Words must have no control characters.
  [[nodiscard]] policyd::Result<ProvAnswers> ask(std::span<const ProvCommand> commands) const;

 private:
  ProvSettings settings_;
};

// "carbonio prov ms mail.example.com +zimbraServiceEnabled cbpolicyd", quoted for a shell.
std::string as_typed(const ProvCommand& command);

}  // namespace carbonio
