// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/typed_advice.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/shell_words.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kLowerCase = "abcdefghijklmnopqrstuvwxyz";
// For these the daemon's configuration names the database.
constexpr std::array<std::string_view, 3> kOfTheService = {"enable", "disable", "service"};

}  // namespace

TypedAdvice::TypedAdvice(const Arguments& arguments, std::vector<std::string_view> subcommands)
    : subcommands_(std::move(subcommands)) {
  const auto typed = [&](std::string_view option) {
    const auto value = arguments.value(std::string{option});
    return value ? fmt::format("--{} {} ", option, escaped(policyd::shell_word(*value))) : "";
  };
  database_ = typed(kDatabaseOption);
  home_ = typed(kZextrasHomeOption);
}

std::string TypedAdvice::complete(std::string_view advice) const {
  if (database_.empty() && home_.empty()) return std::string{advice};
  constexpr std::string_view kProgram = "carbonio-limits ";
  std::string out;
  for (;;) {
    const std::size_t at = advice.find(kProgram);
    if (at == std::string_view::npos) return out.append(advice);
    const std::string_view rest = advice.substr(at + kProgram.size());
    const std::string_view word =
        rest.substr(0, std::min(rest.find_first_not_of(kLowerCase), rest.size()));
    out += advice.substr(0, at + kProgram.size());
    if (std::find(subcommands_.begin(), subcommands_.end(), word) != subcommands_.end()) {
      const bool takes_database =
          std::find(kOfTheService.begin(), kOfTheService.end(), word) == kOfTheService.end();
      out += (takes_database ? database_ : "") + home_;
    }
    advice = rest;
  }
}

std::string command_about(std::string_view subcommand, std::string_view name,
                          std::string_view options) {
  const std::string begin = fmt::format("carbonio-limits {}", subcommand);
  const std::string with = options.empty() ? std::string{} : fmt::format(" {}", options);
  const std::string word = policyd::shell_word(name);
  return name.starts_with('-') ? fmt::format("{}{} -- {}", begin, with, word)
                               : fmt::format("{} {}{}", begin, word, with);
}

}  // namespace limits
