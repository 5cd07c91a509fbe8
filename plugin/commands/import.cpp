// SPDX-License-Identifier: AGPL-3.0-only
// `import`: applies limits from a file in one transaction and prints the differences.
#include <fmt/core.h>

#include <array>
#include <string>

#include "daemon/base/shell_words.hpp"
#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/import_file.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kImportOptions = {{
    {"remove-others", "", "remove the limits that are not in the file"},
    {"dry-run", "", "show the differences without changing anything"},
}};

void print_difference(const Difference& difference, bool dry, Context& context) {
  Output& output = context.output;
  for (const std::string& line : difference.lines) {
    const Colour colour = line[0] == '+'   ? Colour::green
                          : line[0] == '-' ? Colour::red
                                           : Colour::none;
    output.line(Cell{line, colour}, Cell{});
  }
  output.line(fmt::format(
      fmt::runtime(dry ? "Nothing was changed (--dry-run): {} would be created, {} changed, {} "
                         "removed, {} left unchanged."
                       : "Limits: {} created, {} changed, {} removed, {} unchanged."),
      difference.created, difference.changed, difference.removed, difference.unchanged));
  if (difference.carried != 0) {
    output.line(fmt::format("Groups and policies{}: {}.",
                            dry ? " that would be created or changed" : " created or changed",
                            difference.carried));
  }
  if (difference.blocks != 0) {
    output.note(context.advice.complete(fmt::format(
                    "{} in the file {} left out; 'carbonio-limits blocked' shows who is blocked, "
                    "and to block someone: carbonio-limits block WHO",
                    counted(difference.blocks, "block"),
                    of_number(difference.blocks, dry ? "is" : "was", dry ? "are" : "were"))) +
                ".");
  }
  if (const auto& unfit = difference.unfit_members; !unfit.empty()) {
    output.note(context.advice.complete(
        fmt::format("{} {} not valid, such as '{}'; 'carbonio-limits doctor' shows what fixes {}.",
                    counted(unfit.size(), "group member"), of_number(unfit.size(), "is", "are"),
                    shown(unfit.front()), of_number(unfit.size(), "it", "them"))));
  }
  if (!difference.gap.empty()) output.note(context.advice.complete(difference.gap) + ".");
  if (difference.others.empty()) return;
  const std::size_t count = difference.others.size();
  output.note(fmt::format("{} {} not in the file and {} kept; --remove-others removes {}.",
                          with_ids("limit", difference.others), of_number(count, "is", "are"),
                          of_number(count, "was", "were"), of_number(count, "it", "them")));
}

Outcome run_import(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the file is missing; 'import -' reads standard input");
  const auto text = read_limit_input(words.front(), context);
  if (!text) return tl::unexpected{text.error()};
  const std::string& name = words.front();
  if (is_sql_file(*text)) {
    const auto daemon = database_of(arguments, context);
    return failed(
        fmt::format("{} is SQL, not a file of limits; to run it: sqlite3 {}{}; nothing was changed",
                    name == "-" ? "standard input" : shown(name),
                    daemon ? policyd::shell_word(daemon->config.database.string()) : "DATABASE",
                    name == "-" ? std::string{} : " < " + policyd::shell_word(shown(name))));
  }
  const auto file = parse_limit_file(*text);
  if (!file) {
    const bool sent = name == "-" && context.input;  // to the page, which names no file
    return failed((sent ? std::string{} : shown(name) + ": ") + file.error().message);
  }
  const bool remove_others = arguments.has("remove-others");
  if (file->limits.empty() && remove_others) {
    return failed(
        fmt::format("{} contains no limits, so --remove-others would remove all limits; "
                    "nothing was changed",
                    words.front() == "-" ? "standard input" : shown(words.front())));
  }
  const bool dry = arguments.has("dry-run");
  Difference difference;
  return change_limits(
      arguments, context, dry, [&](LimitPlan plan, const Tables& tables) -> Result<LimitsChange> {
        auto change = apply_file(std::move(plan), tables, *file, remove_others, dry,
                                 carbonio::is_carbonio(context.zextras_home), difference);
        if (change) {
          change->report = [&] { print_difference(difference, dry, context); };
        }
        return change;
      });
}

}  // namespace

const Command kImport = {
    "import",
    "FILE [--remove-others] [--dry-run]",
    "Apply limits from a file written by 'export'",
    "FILE has one 'send ...' or 'receive ...' per line, and 'group' and 'row' lines as 'export' "
    "writes them; '#' starts a comment, and '-' reads standard input. A group line defines the "
    "whole group, apart from members that 'sync' wrote; internal_domains and internal_ips are only "
    "added to, and lose the examples of a new database. Rows that are there already are not added "
    "again. "
    "Blocks in an older file are left out. "
    "All lines are checked first; then all of them are applied, or none. '+' and "
    "'-' mark what changes. Importing an unmodified export changes nothing, except that limits by "
    "SenderIP:/32 then count each client address, and that an exempt account is exempt whole. Rows "
    "that are not limits are never touched. With "
    "--remove-others a file without limits is refused.",
    "import limits.txt --dry-run\n"
    "import limits.txt\n"
    "import limits.txt --remove-others",
    kImportOptions,
    1,
    run_import,
    Takes::file};

}  // namespace limits
