// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cli/typed_advice.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "plugin/commands/command_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::string_view kLowerCase = "abcdefghijklmnopqrstuvwxyz";

// For a shell.
std::string quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"/._-+:@%"}.find(c) != std::string_view::npos;
  });
  if (plain) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return out + "'";
}

}  // namespace

std::string with_place(std::string_view advice, const Arguments& arguments) {
  std::string place;
  for (const std::string_view option : {kDatabaseOption, kZextrasHomeOption}) {
    const auto value = arguments.value(std::string{option});
    if (value) place += fmt::format("--{} {} ", option, escaped(quoted(*value)));
  }
  if (place.empty()) return std::string{advice};
  constexpr std::string_view kCall = "carbonio-limits ";
  std::string out;
  for (;;) {
    const std::size_t at = advice.find(kCall);
    if (at == std::string_view::npos) break;
    const std::string_view rest = advice.substr(at + kCall.size());
    const std::size_t end = std::min(rest.find_first_not_of(kLowerCase), rest.size());
    out += advice.substr(0, at + kCall.size());
    if (has_subcommand(rest.substr(0, end))) out += place;
    advice = rest;
  }
  return out.append(advice);
}

bool has_subcommand(std::string_view name) {
  const auto all = all_commands();
  return std::any_of(all.begin(), all.end(),
                     [&](const Command* command) { return command->name == name; });
}

}  // namespace limits
