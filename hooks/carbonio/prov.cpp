// SPDX-License-Identifier: AGPL-3.0-only
#include "hooks/carbonio/prov.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "daemon/base/shell_words.hpp"
#include "hooks/system/run_program.hpp"
#include "hooks/system/users.hpp"

namespace carbonio {
namespace {

namespace fs = std::filesystem;
using policyd::failure;
using policyd::Result;

// The program with its first words; empty if it is not installed.
std::vector<std::string> prov_words(const fs::path& home) {
  const fs::path carbonio = home / "bin" / "carbonio";
  if (is_program(carbonio)) return {carbonio.string(), "prov"};
  const fs::path zmprov = home / "bin" / "zmprov";
  if (is_program(zmprov)) return {zmprov.string()};
  return {};
}

// The words that precede a command to run it as `user`; empty if we are that user.
Result<std::vector<std::string>> becoming(const std::string& name,
                                          const std::optional<User>& user) {
  if (user && user->id == geteuid()) return std::vector<std::string>{};
  if (geteuid() != 0) {
    return failure(
        fmt::format("must be run as user {0}; run this command as root, or su - {0} first", name));
  }
  if (!user) return failure(fmt::format("there is no user {} on this host", name));
  for (const char* runuser : {"/usr/sbin/runuser", "/sbin/runuser"}) {
    if (is_program(runuser)) return std::vector<std::string>{runuser, "-u", name, "--"};
  }
  for (const char* setpriv : {"/usr/bin/setpriv", "/bin/setpriv"}) {
    if (!is_program(setpriv)) continue;
    return std::vector<std::string>{setpriv, "--reuid",       name, "--regid",
                                    name,    "--init-groups", "--"};
  }
  return failure(fmt::format("this host has neither runuser nor setpriv; su - {} first", name));
}

std::vector<std::pair<std::string, std::string>> environment_of(const std::optional<User>& user) {
  if (!user) return {};
  return {{"HOME", user->home}, {"USER", user->name}, {"LOGNAME", user->name}};
}

bool is_plain(std::string_view word) {
  constexpr std::string_view kOthers = "+-_.:/@%=,[]";
  return !word.empty() && std::all_of(word.begin(), word.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

// Lines as batch mode reads them: words in double quotes, with `\` before `"` and `\`.
Result<std::string> batch_input(std::span<const ProvCommand> commands) {
  std::string out;
  for (const ProvCommand& command : commands) {
    for (const std::string& word : command) {
      const bool odd = std::any_of(word.begin(), word.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
      });
      if (odd) return failure("a word contains control characters");
      if (&word != &command.front()) out += ' ';
      if (is_plain(word)) {
        out += word;
        continue;
      }
      out += '"';
      for (const char c : word) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
    }
    out += '\n';
  }
  return out;
}

// Why there are not as many answers as commands.
std::string explanation(const ProgramOutput& ended, const std::string& what) {
  std::string reason = reason_in(ended.err);
  if (reason.empty()) reason = reason_in(ended.out);
  std::string out = what;
  if (ended.status != 0) out += fmt::format(", with exit status {}", ended.status);
  if (!reason.empty()) out += fmt::format(": {}", reason);
  return out;
}

}  // namespace

bool has_prov(const fs::path& zextras_home) { return !prov_words(zextras_home).empty(); }

Result<ProvAnswers> Prov::ask(std::span<const ProvCommand> commands) const {
  constexpr std::size_t kMaxOutput = std::size_t{8} << 20;
  const auto program = prov_words(zextras_home);
  if (program.empty()) {
    return failure(fmt::format("Carbonio is not installed: there is no {}",
                               (zextras_home / "bin" / "carbonio").string()));
  }
  const auto wrong = [&](std::string_view why) {
    return failure(fmt::format("{}: {}", program.front(), why));
  };
  auto input = batch_input(commands);
  if (!input) return wrong(input.error().message);
  const auto account = find_user(user);
  auto words = becoming(user, account);
  if (!words) return wrong(words.error().message);
  words->insert(words->end(), program.begin(), program.end());

  const auto ended = run_program(
      {std::move(*words), deadline, std::move(*input), environment_of(account), kMaxOutput});
  if (!ended) return wrong(ended.error().message);
  auto answers = split_answers(ended->out, commands.size());
  if (!answers) return wrong(explanation(*ended, answers.error().message));
  return ProvAnswers{std::move(*answers), errors_in(ended->err)};
}

std::string as_typed(const ProvCommand& command) {
  return "carbonio prov " + policyd::shell_words(command);
}

}  // namespace carbonio
