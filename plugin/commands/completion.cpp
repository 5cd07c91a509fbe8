// SPDX-License-Identifier: AGPL-3.0-only
// `completion`: a bash completion script, generated from the table of subcommands.
#include <fmt/core.h>

#include "plugin/commands/commands.hpp"

namespace limits {
namespace {

std::string option_names(std::span<const Option> options) {
  std::string out;
  for (const Option& option : options) out += fmt::format(" --{}", option.name);
  return out;
}

std::string joined_names(std::string_view between, bool (*wanted)(const Command&)) {
  std::string out;
  for (const Command* command : all_commands()) {
    if (!wanted(*command)) continue;
    out += (out.empty() ? "" : std::string{between}) + std::string{command->name};
  }
  return out;
}

// Completes the value of an option.
std::string value_cases() {
  std::string out;
  for (const Command* command : all_commands()) {
    for (const Option& option : command->options) {
      const std::string begin = fmt::format("    '{} --{}') ", command->name, option.name);
      if (!option.choices.empty()) out += fmt::format("{}words='{}' ;;\n", begin, option.choices);
      if (option.value.starts_with("FILE")) out += begin + "files=-f ;;\n";
      if (option.value == "DIR") out += begin + "files=-d ;;\n";
    }
  }
  return out + "    *' --database') files=-f ;;\n    *' --zextras-home') files=-d ;;\n";
}

std::string option_cases() {
  std::string out;
  for (const Command* command : all_commands()) {
    const std::string words = std::string{command->words} + option_names(command->options);
    out += fmt::format("    {}) words='{}' ;;\n", command->name,
                       words.substr(words.starts_with(' ') ? 1 : 0));
  }
  return out;
}

constexpr std::string_view kHead =
    "# bash completion for carbonio-limits, printed by 'carbonio-limits completion'\n"
    "_carbonio_limits() {\n"
    "  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
    "  local command= words= files= word\n"
    "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n";
constexpr std::string_view kTail =
    "  COMPREPLY=($(compgen ${files} -W \"$words\" -- \"$current\"))\n"
    "}\n"
    "complete -o filenames -F _carbonio_limits carbonio-limits\n";

Outcome run_completion(const Arguments&, Context& context) {
  Output& output = context.output;
  output.text(kHead);
  output.text(fmt::format("    case $word in {}) command=$word; break ;; esac\n  done\n",
                          joined_names("|", [](const Command&) { return true; })));
  output.text("  case \"$command $before\" in\n" + value_cases());
  output.text("    *) case $command in\n    '') words='" +
              joined_names(" ", [](const Command&) { return true; }) + " --help --version' ;;\n" +
              option_cases() + "    esac\n    words+=' --help --zextras-home'\n");
  output.text(fmt::format("    case $command in {}) ;; *) words+=' --database' ;; esac\n",
                          joined_names("|", [](const Command& c) { return !c.takes_database; })));
  output.text(fmt::format(
      "    case $command in\n    {}) files=-f ;;\n    {}) words+=\" $(carbonio-limits list "
      "2>/dev/null | awk '$1 + 0 > 0 {{ print $1 }}')\" ;;\n    esac ;;\n  esac\n",
      joined_names("|", [](const Command& c) { return c.takes == Takes::file; }),
      joined_names("|", [](const Command& c) { return c.takes == Takes::id; })));
  output.text(kTail);
  return {};
}

}  // namespace

const Command kCompletion = {
    "completion",
    "",
    "Print a bash completion script",
    "The package installs it. Otherwise save it to a file in /etc/bash_completion.d.",
    "completion",
    {},
    0,
    run_completion};

}  // namespace limits
