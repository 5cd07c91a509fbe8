// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/command_line.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <exception>
#include <ostream>

#include "daemon/base/did_you_mean.hpp"
#include "daemon/base/shell_words.hpp"
#include "plugin/cli/options.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/terminal/text.hpp"
#include "version.hpp"

namespace limits {
namespace {

constexpr std::string_view kProgram = "carbonio-limits";
constexpr std::string_view kVersionOption = "version";
constexpr std::string_view kEndOfOptions = "--";
constexpr std::string_view kDefaultZextrasHome = "/opt/zextras";

constexpr std::array<Option, 4> kCommonOptions = {{
    {kDatabaseOption, "FILE",
     "the database (default: the one in conf/cbpolicyd.conf, or else "
     "data/cbpolicyd/db/cbpolicyd.sqlitedb)"},
    {kZextrasHomeOption, "DIR",
     "the installation folder of Carbonio (default: $ZEXTRAS_HOME or /opt/zextras)"},
    {kHelpOption, "", "show this help; after a subcommand, show its help"},
    {kVersionOption, "", "show the version"},
}};

constexpr std::size_t kHelpWidth = 80;

void append_wrapped(std::string& out, std::string_view text, std::size_t indent) {
  const auto lines = wrapped(text, kHelpWidth - indent);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append(indent, ' ');
    out += lines[i] + '\n';
  }
}

void append_options(std::string& out, std::span<const Option> options) {
  constexpr std::size_t kIndent = 24;
  for (const Option& option : options) {
    std::string left = fmt::format("  --{}", option.name);
    if (!option.value.empty()) left += fmt::format(" {}", option.value);
    if (option.several) left += "...";
    if (left.size() + 2 > kIndent) {
      out += left + '\n';
      left.clear();
    }
    left.resize(kIndent, ' ');
    out += left;
    append_wrapped(out, option.help, kIndent);
  }
}

// Splits a command line where it may be wrapped: an option keeps its value and brackets.
std::vector<std::string> units_of(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string_view word : split(text, ' ')) {
    const bool begins =
        !word.empty() && std::string_view{"[-|#"}.find(word[0]) != std::string::npos;
    if (begins || out.empty()) {
      out.emplace_back(word);
    } else {
      out.back() += ' ';
      out.back() += word;
    }
  }
  return out;
}

// `end` is appended to each line but the last: a backslash lets examples be pasted.
void append_units(std::string& out, std::string_view text, std::size_t indent,
                  std::string_view end) {
  std::size_t column = 0;
  for (const std::string& unit : units_of(text)) {
    if (column > 0 && column + 1 + width_of(unit) + end.size() > kHelpWidth) {
      out += end;
      out += '\n';
      out.append(indent, ' ');
      column = indent;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += unit;
    column += width_of(unit);
  }
  out += '\n';
}

// The common options of `command`, or all of them.
void append_common_options(std::string& out, const Command* command) {
  out += command == nullptr ? "\nOptions of every subcommand:\n" : "\nCommon options:\n";
  const bool all = command == nullptr || command->takes_database;
  append_options(out, std::span{kCommonOptions}.subspan(all ? 0 : 1));
}

// The index of the subcommand: the first argument that is neither an option nor its value.
std::size_t command_index(std::span<const std::string> arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].substr(0, 1) != "-") return i;
    for (const Option& option : kCommonOptions) {
      if (!option.value.empty() && arguments[i] == fmt::format("--{}", option.name)) ++i;
    }
  }
  return arguments.size();
}

tl::unexpected<Failure> see_help(std::string_view what, const Command* command) {
  return wrong_use(fmt::format("{}; see '{}{}{} --help'", what, kProgram,
                               command == nullptr ? "" : " ",
                               command == nullptr ? std::string_view{} : command->name));
}

// Without a "--" that changes nothing: the page gives one always.
std::string line_as_typed(std::span<const std::string> arguments) {
  const auto dashes = std::count_if(arguments.begin(), arguments.end(),
                                    [](const std::string& word) { return word.starts_with('-'); });
  std::string out{kProgram};
  for (const std::string& argument : arguments) {
    if (argument == kEndOfOptions && dashes == 1) continue;
    out += ' ' + policyd::shell_word(argument);
  }
  return out;
}

std::string did_you_mean(std::string_view name) {
  const bool limit = name == "limit" || name == "limits";
  const auto near = limit ? kSend.name : policyd::nearest(name, command_names());
  return near ? fmt::format(" (did you mean '{}'?)", *near) : "";
}

}  // namespace

std::vector<const Command*> all_commands() {
  return {&kEnable,  &kDisable, &kInit,     &kSync,       &kHook,    &kSend,      &kReceive,
          &kList,    &kShow,    &kSet,      &kOn,         &kOff,     &kRemove,    &kExport,
          &kImport,  &kUsage,   &kSimulate, &kSuggest,    &kRefused, &kHistory,   &kBlock,
          &kUnblock, &kBlocked, &kChanges,  &kSignal,     &kAnswer,  &kNotify,    &kReset,
          &kBackup,  &kRestore, &kRelease,  &kExplain,    &kDoctor,  &kService,   &kMetrics,
          &kCluster, &kPause,   &kResume,   &kPostscreen, &kWeb,     &kCompletion};
}

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> names;
  for (const Command* command : all_commands()) names.push_back(command->name);
  return names;
}

tl::expected<CommandLine, Failure> parse_command_line(std::span<const std::string> arguments) {
  CommandLine line;
  std::vector<std::string> words(arguments.begin(), arguments.end());
  std::size_t index = command_index(words);
  if (index < words.size() && words[index] == kHelpOption) {  // `help`, `help send`
    line.help = true;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(index));
    index = command_index(words);
  }
  if (index < words.size()) {
    const std::string name = words[index];
    for (const Command* command : all_commands()) {
      if (command->name == name) line.command = command;
    }
    if (line.command == nullptr) {
      return see_help(fmt::format("unknown subcommand '{}'{}", shown(name), did_you_mean(name)),
                      nullptr);
    }
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(index));
  }
  // zmcbpolicydinit takes it with one dash.
  if (line.command == &kInit) {
    std::replace(words.begin(), words.end(), std::string{"-force"}, std::string{"--force"});
  }

  std::vector<Option> options(kCommonOptions.begin(), kCommonOptions.end());
  if (line.command != nullptr) {
    options.insert(options.end(), line.command->options.begin(), line.command->options.end());
  }
  auto parsed = parse_options(words, options);
  if (!parsed) return see_help(parsed.error().message, line.command);
  line.arguments = std::move(*parsed);
  line.help = line.help || line.arguments.has(std::string{kHelpOption});
  line.version = line.arguments.has(std::string{kVersionOption});
  line.zextras_home = line.arguments.value(std::string{kZextrasHomeOption});
  if (line.help || line.version) return line;

  if (line.command == nullptr) return see_help("the subcommand is missing", nullptr);
  const auto& rest = line.arguments.words();
  if (rest.size() > line.command->max_words) {
    return see_help(fmt::format("unexpected argument '{}'", shown(rest[line.command->max_words])),
                    line.command);
  }
  if (line.arguments.value(std::string{kDatabaseOption}) == "") {
    return see_help("option '--database' has an empty value", line.command);
  }
  return line;
}

std::string help_for_all() {
  std::string out = fmt::format(
      "{0} limits what users of this Carbonio server may send and receive.\n\n"
      "Usage: {0} SUBCOMMAND [options]\n\nSubcommands:\n",
      kProgram);
  for (const Command* command : all_commands()) {
    out += fmt::format("  {:<12}", command->name);
    append_wrapped(out, command->summary, 14);
  }
  append_common_options(out, nullptr);
  out += fmt::format(
      "\nExamples:\n"
      "  {0} send 100/h                # each user: 100 recipients an hour\n"
      "  {0} send 5000/day --user news@example.org\n"
      "  {0} usage --top 10\n\n"
      "'{0} SUBCOMMAND --help' shows details and examples.\n",
      kProgram);
  append_wrapped(out,
                 "Exit status: 0 success, 1 wrong usage, 2 failure, 3 doctor or status found a "
                 "problem.",
                 0);
  return out;
}

std::string help_for(const Command& command) {
  std::string out;
  append_units(out,
               fmt::format("Usage: {} {}{}{}", kProgram, command.name,
                           command.synopsis.empty() ? "" : " ", command.synopsis),
               7, "");
  out += '\n';
  append_wrapped(out, fmt::format("{}.", command.summary), 0);
  for (const std::string_view paragraph : split(command.details, '\n')) {
    out += '\n';
    append_wrapped(out, paragraph, 0);
  }
  if (!command.options.empty()) {
    out += "\nOptions:\n";
    append_options(out, command.options);
  }
  append_common_options(out, &command);
  out += "\nExamples:\n";
  for (const std::string_view example : split(command.examples, '\n')) {
    append_units(out, fmt::format("  {} {}", kProgram, example), 6, " \\");
  }
  return out;
}

int run_command_line(std::span<const std::string> arguments, const Environment& environment,
                     std::ostream& out, std::ostream& err) {
  const auto fail = [&](const Failure& failure) {
    out.flush();
    if (!failure.message.empty()) err << kProgram << ": " << escaped(failure.message) << '\n';
    return static_cast<int>(failure.exit);
  };
  try {
    const auto line = parse_command_line(arguments);
    if (!line) return fail(line.error());
    if (line->version) {
      out << kProgram << ' ' << policyd::kVersion << '\n';
    } else if (line->help) {
      out << (line->command != nullptr ? help_for(*line->command) : help_for_all());
    } else {
      Context context{line->zextras_home.value_or(
                          environment.zextras_home.value_or(std::string{kDefaultZextrasHome})),
                      Output{out, environment.style},
                      environment.now,
                      environment.search_path,
                      TypedAdvice{line->arguments, command_names()},
                      {environment.who, line_as_typed(arguments)},
                      environment.input,
                      environment.notify_socket,
                      environment.may_name_files,
                      environment.given_up};
      if (auto done = line->command->run(line->arguments, context); !done) {
        Failure failure = done.error();
        if (failure.exit == Exit::failed) {
          failure.message = context.advice.complete(failure.message);
        }
        return fail(failure);
      }
    }
    out.flush();
    if (!out) return fail({Exit::failed, "cannot write to standard output"});
    return static_cast<int>(Exit::done);
  } catch (const std::exception& error) {
    return fail({Exit::failed, fmt::format("internal error in {}: {}", kProgram, error.what())});
  }
}

}  // namespace limits
