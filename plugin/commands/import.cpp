// SPDX-License-Identifier: AGPL-3.0-only
// `import`: limits from a text, after showing the difference, in one transaction.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_file.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"remove-others", "", "remove the limits that are not in the file"},
    {"dry-run", "", "show the difference, and change nothing"},
}};

tl::expected<std::string, Failure> read_all(std::istream& in, const std::string& name) {
  std::string text;
  std::array<char, 65536> room{};
  while (in.read(room.data(), room.size()) || in.gcount() > 0) {
    text.append(room.data(), static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxLimitFile) return failed(fmt::format("{} is larger than 64 MiB", name));
  }
  if (in.bad()) return failed(fmt::format("cannot read {}", name));
  return text;
}

// As the user who runs this, before becoming the owner of the database.
tl::expected<std::string, Failure> read_file(const std::string& name) {
  if (name == "-") return read_all(std::cin, "standard input");
  std::ifstream file{name, std::ios::binary};
  // A folder can be opened but not read.
  if (!file || (file.peek() == std::ifstream::traits_type::eof() && !file.eof())) {
    const std::string why = std::strerror(errno);
    return failed(fmt::format("cannot read {}: {}", shown(name), why));
  }
  file.clear();
  return read_all(file, shown(name));
}

struct Difference {
  std::vector<std::string> lines;  // "+ send ...", "- send ..."
  std::size_t made = 0;
  std::size_t changed = 0;
  std::size_t removed = 0;
  std::size_t same = 0;
  std::vector<std::string> others;  // not in the file, and left
  AllLimits now;                    // as they are afterwards
};

std::string line_for(const AllLimits& all, const StoredLimit& limit) {
  const auto wanted = wanted_of(all, limit);
  return wanted ? line_of(*wanted) : describe(all, limit);
}

bool is_for(const StoredLimit& limit, const WantedLimit& wanted) {
  return limit.what.target == wanted.target && limit.what.direction == wanted.direction &&
         limit.what.per == wanted.per;
}

Result<void> put(Changes& changes, AllLimits& all, const FileLimit& limit, Difference& difference) {
  const auto before = std::find_if(all.limits.begin(), all.limits.end(),
                                   [&](const auto& known) { return is_for(known, limit.wanted); });
  const std::string old = before == all.limits.end() ? std::string{} : line_for(all, *before);
  const auto put = put_limit(changes, all, limit.wanted);
  if (!put) return policyd::failure(fmt::format("line {}: {}", limit.line, put.error().message));
  if (put->kind == Put::Kind::same) {
    ++difference.same;
    return {};
  }
  ++(put->kind == Put::Kind::made ? difference.made : difference.changed);
  const std::string now = line_for(all, put->limit);
  if (!old.empty() && old != now) difference.lines.push_back("- " + old);
  std::string why;  // where the line does not show it
  if (old == now) {
    for (const std::string& what : put->differences) {
      why += (why.empty() ? "  # " : ", ") + what;
    }
  }
  difference.lines.push_back((old == now ? "  " : "+ ") + now + why);
  return {};
}

// Those that the file could say and does not.
Result<void> treat_others(Changes& changes, AllLimits& all, const std::vector<FileLimit>& file,
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

Result<Difference> bring_all(Changes& changes, const std::vector<FileLimit>& file, bool remove) {
  if (auto begun = changes.begin(); !begun) return tl::unexpected{begun.error()};
  auto all = read_limits(changes.tables());
  if (!all) return tl::unexpected{all.error()};
  Difference difference;
  auto done = remove ? treat_others(changes, *all, file, true, difference) : Result<void>{};
  for (const FileLimit& limit : file) {
    if (done) done = put(changes, *all, limit, difference);
  }
  if (done && !remove) done = treat_others(changes, *all, file, false, difference);
  if (!done) return tl::unexpected{done.error()};
  difference.now = std::move(*all);
  return difference;
}

void print(const Difference& difference, bool dry, Output& output) {
  for (const std::string& line : difference.lines) {
    const Colour colour = line[0] == '+'   ? Colour::green
                          : line[0] == '-' ? Colour::red
                                           : Colour::none;
    output.line(Cell{line, colour}, Cell{});
  }
  output.line(fmt::format(
      fmt::runtime(dry ? "Nothing was changed (--dry-run): {} would be made, {} would be "
                         "changed, {} would be removed, {} would stay as they are."
                       : "Limits: {} made, {} changed, {} removed, {} as they were."),
      difference.made, difference.changed, difference.removed, difference.same));
  const auto outside =
      difference.lines.empty() ? "" : say_outside(difference.now, std::nullopt, dry);
  if (!outside.empty()) output.note(outside);
  if (difference.others.empty()) return;
  constexpr std::size_t kMostNamed = 10;
  const std::size_t count = difference.others.size();
  output.note(count <= kMostNamed
                  ? fmt::format("not in the file, and left as they are: {} {}; --remove-others "
                                "removes what is not in the file.",
                                count == 1 ? "limit" : "limits", join_with_and(difference.others))
                  : fmt::format("{} limits are not in the file and were left as they are; "
                                "--remove-others removes what is not in the file.",
                                count));
}

Outcome run(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the file is missing; 'import -' reads standard input");
  const auto text = read_file(words.front());
  if (!text) return tl::unexpected{text.error()};
  const auto file = parse_limit_file(*text);
  if (!file) return failed(fmt::format("{}: {}", shown(words.front()), file.error().message));

  if (file->empty() && arguments.has("remove-others")) {
    return failed(
        fmt::format("{} holds no limit, so --remove-others would remove them all; "
                    "nothing was changed",
                    words.front() == "-" ? "standard input" : shown(words.front())));
  }

  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto explain = [&](const policyd::Error& error) {
    return failed(
        fmt::format("database {}: {}; nothing was changed", place->file.string(), error.message));
  };
  Changes changes{database->tables};
  const bool dry = arguments.has("dry-run");
  const auto difference = bring_all(changes, *file, arguments.has("remove-others"));
  if (!difference) return explain(difference.error());
  if (!dry) {
    if (auto done = changes.commit(); !done) return explain(done.error());
  }
  print(*difference, dry, context.output);
  return {};
}

}  // namespace

const Command kImport = {
    "import",
    "FILE [--remove-others] [--dry-run]",
    "Make the limits that a text says, as 'export' writes it",
    "FILE has one 'send ...' or 'receive ...' a line; '#' starts a comment, and '-' is standard "
    "input. All lines are checked before anything is done, and then all of them are done or none. "
    "'+' and '-' show what becomes different. Importing an export changes nothing, but for limits "
    "by SenderIP:/32, which then count each client address. Rows of the database that are no limit "
    "are never touched. A text without any limit is refused with "
    "--remove-others.",
    "import limits.txt --dry-run\n"
    "import limits.txt\n"
    "import limits.txt --remove-others",
    kOptions,
    1,
    run,
    Takes::file};

}  // namespace limits
