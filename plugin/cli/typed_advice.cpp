// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/typed_advice.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "daemon/base/shell_words.hpp"
#include "plugin/cli/command.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kLowerCase = "abcdefghijklmnopqrstuvwxyz";

}  // namespace

TypedAdvice::TypedAdvice(const Arguments& arguments, std::vector<std::string_view> subcommands)
    : subcommands_(std::move(subcommands)) {
  for (const std::string_view option : {kDatabaseOption, kZextrasHomeOption}) {
    const auto value = arguments.value(std::string{option});
    if (value) options_ += fmt::format("--{} {} ", option, escaped(policyd::shell_word(*value)));
  }
}

std::string TypedAdvice::complete(std::string_view advice) const {
  if (options_.empty()) return std::string{advice};
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
      out += options_;
    }
    advice = rest;
  }
}

}  // namespace limits
