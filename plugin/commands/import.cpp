// SPDX-License-Identifier: AGPL-3.0-only
// `import`: applies limits from a file in one transaction and prints the differences.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "daemon/base/read_file.hpp"
#include "daemon/base/unique_fd.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_file.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kImportOptions = {{
    {"remove-others", "", "remove the limits that are not in the file"},
    {"dry-run", "", "show the differences without changing anything"},
}};

// As the user who runs the command, before becoming the owner of the database. The file may be a
// pipe: import <(...)
tl::expected<std::string, Failure> read_input(const std::string& name) {
  const bool standard_input = name == "-";
  const policyd::UniqueFd file{standard_input ? ::dup(STDIN_FILENO)
                                              : ::open(name.c_str(), O_RDONLY | O_CLOEXEC)};
  const std::string problem = file ? "" : std::strerror(errno);
  const std::string what = standard_input ? "standard input" : shown(name);
  if (!file) return failed(fmt::format("cannot read {}: {}", what, problem));
  auto text = policyd::read_to_end(file.get(), kMaxLimitFile);
  if (!text) return failed(fmt::format("cannot read {}: {}", what, text.error().message));
  return std::move(*text);
}

struct Difference {
  std::vector<std::string> lines;  // "+ send ...", "- send ..."
  std::size_t created = 0;
  std::size_t changed = 0;
  std::size_t removed = 0;
  std::size_t unchanged = 0;
  std::vector<std::string> others;  // IDs that are not in the file and are kept
  AllLimits after;
};

std::string line_for(const AllLimits& all, const StoredLimit& limit) {
  const auto wanted = wanted_of(all, limit);
  return wanted ? line_of(*wanted) : describe(all, limit);
}

Result<void> apply(ChangeSet& changes, AllLimits& all, const FileLimit& limit,
                   Difference& difference) {
  const auto before = std::find_if(all.limits.begin(), all.limits.end(),
                                   [&](const auto& known) { return is_for(known, limit.wanted); });
  const std::string old = before == all.limits.end() ? std::string{} : line_for(all, *before);
  const auto result = apply_limit(changes, all, limit.wanted);
  if (!result) {
    return policyd::failure(fmt::format("line {}: {}", limit.line, result.error().message));
  }
  if (result->kind == ApplyResult::Kind::unchanged) {
    ++difference.unchanged;
    return {};
  }
  ++(result->kind == ApplyResult::Kind::created ? difference.created : difference.changed);
  const std::string now = line_for(all, result->limit);
  if (!old.empty() && old != now) difference.lines.push_back("- " + old);
  std::string why;  // if the line itself does not show it
  if (old == now) {
    for (const std::string& what : result->differences) {
      why += (why.empty() ? "  # " : ", ") + what;
    }
  }
  difference.lines.push_back((old == now ? "  " : "+ ") + now + why);
  return {};
}

// Removes or collects the limits that a file could contain but this one does not.
Result<void> handle_others(ChangeSet& changes, AllLimits& all, const std::vector<FileLimit>& file,
                           bool remove, Difference& difference) {
  std::vector<std::int64_t> ids;
  for (const StoredLimit& limit : all.limits) {
    const bool named = std::any_of(file.begin(), file.end(), [&](const FileLimit& known) {
      return is_for(limit, known.wanted);
    });
    if (!named && wanted_of(all, limit)) ids.push_back(limit.id);
  }
  for (const std::int64_t id : ids) {
    const std::string line = line_for(all, *find_limit(all, id));
    if (!remove) {
      difference.others.push_back(fmt::format("{}", id));
      continue;
    }
    auto done = remove_limit(changes, all, id);
    if (!done) return tl::unexpected{done.error()};
    difference.lines.push_back("- " + line);
    ++difference.removed;
  }
  return {};
}

Result<void> apply_all(ChangeSet& changes, AllLimits& all, const std::vector<FileLimit>& file,
                       bool remove_others, Difference& difference) {
  Result<void> done;
  if (remove_others) done = handle_others(changes, all, file, true, difference);
  for (const FileLimit& limit : file) {
    if (done) done = apply(changes, all, limit, difference);
  }
  if (done && !remove_others) done = handle_others(changes, all, file, false, difference);
  difference.after = std::move(all);
  return done;
}

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
  const auto gap =
      difference.lines.empty() ? "" : forgery_gap_note(difference.after, std::nullopt, dry);
  if (!gap.empty()) output.note(context.advice.complete(gap) + ".");
  if (difference.others.empty()) return;
  constexpr std::size_t kMaxNamed = 10;
  const std::size_t count = difference.others.size();
  const std::string which =
      count <= kMaxNamed
          ? fmt::format("{} {}", count == 1 ? "limit" : "limits", join_with_and(difference.others))
          : fmt::format("{} limits", count);
  output.note(fmt::format("{} {} not in the file and {} kept; --remove-others removes {}.", which,
                          count == 1 ? "is" : "are", count == 1 ? "was" : "were",
                          count == 1 ? "it" : "them"));
}

Outcome run_import(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the file is missing; 'import -' reads standard input");
  const auto text = read_input(words.front());
  if (!text) return tl::unexpected{text.error()};
  const auto file = parse_limit_file(*text);
  if (!file) return failed(fmt::format("{}: {}", shown(words.front()), file.error().message));
  const bool remove_others = arguments.has("remove-others");
  if (file->empty() && remove_others) {
    return failed(
        fmt::format("{} contains no limits, so --remove-others would remove all limits; "
                    "nothing was changed",
                    words.front() == "-" ? "standard input" : shown(words.front())));
  }
  const bool dry = arguments.has("dry-run");
  Difference difference;
  auto done = change_limits(arguments, context, dry,
                            [&](ChangeSet& changes, AllLimits& all, const DaemonConfig&) {
                              return apply_all(changes, all, *file, remove_others, difference);
                            });
  if (done) print_difference(difference, dry, context);
  return done;
}

}  // namespace

const Command kImport = {
    "import",
    "FILE [--remove-others] [--dry-run]",
    "Apply limits from a file written by 'export'",
    "FILE has one 'send ...' or 'receive ...' per line; '#' starts a comment, and '-' reads "
    "standard input. All lines are checked first; then all of them are applied, or none. '+' and "
    "'-' mark what changes. Importing an unmodified export changes nothing, except that limits by "
    "SenderIP:/32 then count each client address. Rows that are not limits are never touched. With "
    "--remove-others a file without limits is refused.",
    "import limits.txt --dry-run\n"
    "import limits.txt\n"
    "import limits.txt --remove-others",
    kImportOptions,
    1,
    run_import,
    Takes::file};

}  // namespace limits
