// SPDX-License-Identifier: AGPL-3.0-only
// `import`: applies limits from a file in one transaction and prints the differences.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "daemon/base/read_file.hpp"
#include "daemon/base/shell_words.hpp"
#include "daemon/base/unique_fd.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/carried_text.hpp"
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
tl::expected<std::string, Failure> read_input(const std::string& name, const Context& context) {
  const bool standard_input = name == "-";
  if (standard_input && context.input) return *context.input;
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
  std::size_t carried = 0;           // groups, policies and rows that are none of these
  std::vector<std::int64_t> others;  // IDs that are not in the file and are kept
  std::string gap;                   // see forgery_gap.hpp
};

std::string line_for(const StoredLimit& limit) {
  const auto wanted = wanted_of(limit);
  return wanted ? line_of(*wanted) : describe(limit);
}

void add(const ApplyResult& result, Difference& difference) {
  if (result.kind == ApplyResult::Kind::unchanged) {
    ++difference.unchanged;
    return;
  }
  ++(result.kind == ApplyResult::Kind::created ? difference.created : difference.changed);
  const std::string old = result.before ? line_for(*result.before) : std::string{};
  const std::string now = line_for(result.limit);
  if (!old.empty() && old != now) difference.lines.push_back("- " + old);
  std::string why;  // if the line itself does not show it
  if (old == now) {
    for (const std::string& what : result.differences) {
      why += (why.empty() ? "  # " : ", ") + what;
    }
  }
  difference.lines.push_back((old == now ? "  " : "+ ") + now + why);
}

// The limits that a file could contain but this one does not.
std::vector<const StoredLimit*> others_than(const std::vector<FileLimit>& file,
                                            const AllLimits& all, const InWords& words) {
  std::unordered_map<std::string, Units> named;
  for (const FileLimit& limit : file) {
    Units& units = named[key_of(limit.wanted)];
    const Units here = units_of(limit.wanted.rates);
    units = {units.messages || here.messages, units.kib || here.kib};
  }
  std::vector<const StoredLimit*> out;
  for (const StoredLimit& limit : all.limits) {
    const auto found = named.find(key_of(limit));
    if (found != named.end() && found->second.overlap(units_of(limit))) continue;
    if (words.quotas.contains(limit.id)) out.push_back(&limit);
  }
  return out;
}

// What the file carries besides limits, and what is there already.
struct Rest {
  const LimitFile& file;
  Carried here;
  std::set<std::string> known;  // the lines of each policy and row that is there
};

// The order of columns may differ between two databases.
std::string key_of(CarriedRow row) {
  std::sort(row.values.begin(), row.values.end());
  return line_of(row);
}

std::string key_of(const CarriedPolicy& policy) {
  std::string out;
  for (const CarriedRow& row : policy.rows) out += key_of(row) + '\n';
  return out;
}

// Defines the group, apart from members that sync wrote; what is this server's own is only added
// to, and loses the examples of a new database.
Result<void> carry_group(const CarriedGroup& group, const Rest& rest, const Tables& tables,
                         LimitPlan& plan, Difference& difference) {
  const auto here = std::find_if(rest.here.groups.begin(), rest.here.groups.end(),
                                 [&](const auto& known) { return known.name == group.name; });
  const bool exists = here != rest.here.groups.end();
  if (exists && *here == group) return {};
  GroupChange change;
  change.name = group.name;
  change.comment.clear();
  change.create = !exists;
  change.enable = exists && group.enabled && !here->enabled;
  change.disable = !group.enabled && (!exists || here->enabled);
  std::unordered_set<std::string> missing(group.members.begin(), group.members.end());
  auto done = tables.each(
      fmt::format("SELECT ID, Member, Comment IS ?, {} FROM {{p}}policy_group_members WHERE "
                  "PolicyGroupID = (SELECT ID FROM {{p}}policy_groups WHERE Name = ?) AND Disabled "
                  "IS 0 ORDER BY ID",
                  carbonio::kExampleRows),
      {std::string{carbonio::kOwnedComment}, group.name}, [&](const policyd::sql::Statement& row) {
        // An example that the file names is no example any more: it gets a row of its own.
        const bool example = row.integer(3) != 0;
        const bool wanted = !example && missing.erase(std::string{row.text(1)}) != 0;
        const bool removable = is_own_group(group.name) ? example : row.integer(2) == 0;
        if (!wanted && removable) change.remove.push_back(row.integer(0));
      });
  if (!done) return done;
  for (const std::string& member : group.members) {
    if (missing.erase(member) != 0) change.insert.push_back({0, member, false});
  }
  if (exists && !change.enable && !change.disable && change.remove.empty() &&
      change.insert.empty()) {
    return {};  // only in another order
  }
  if (exists) difference.lines.push_back("- " + line_of(*here));
  difference.lines.push_back("+ " + line_of(group));
  ++difference.carried;
  plan.add_group(std::move(change));
  return {};
}

void carry_policies(std::size_t limits_before, std::size_t& next, const Rest& rest, LimitPlan& plan,
                    Difference& difference) {
  const auto& policies = rest.file.carried.policies;
  for (; next < policies.size() && rest.file.places[next] <= limits_before; ++next) {
    if (rest.known.contains(key_of(policies[next]))) continue;
    for (const CarriedRow& row : policies[next].rows) {
      difference.lines.push_back("+ " + line_of(row));
    }
    ++difference.carried;
    plan.add_policy(policies[next]);
  }
}

Result<Rest> read_rest(const LimitFile& file, const Tables& tables, const InWords& words,
                       bool carbonio) {
  auto here = read_carried(tables, words, carbonio);
  if (!here) return tl::unexpected{here.error()};
  Rest out{file, std::move(*here), {}};
  for (const CarriedPolicy& policy : out.here.policies) out.known.insert(key_of(policy));
  for (const CarriedRow& row : out.here.others) out.known.insert(key_of(row));
  return out;
}

Result<LimitsChange> apply_file(LimitPlan plan, const Tables& tables, const LimitFile& file,
                                bool remove_others, bool dry, bool carbonio,
                                Difference& difference) {
  difference = {};
  const auto special = read_special_quotas(tables);
  if (!special) return tl::unexpected{special.error()};
  const InWords words = in_words(plan.before(), *special);
  const auto rest = read_rest(file, tables, words, carbonio);
  if (!rest) return tl::unexpected{rest.error()};
  for (const CarriedGroup& group : file.carried.groups) {
    if (auto done = carry_group(group, *rest, tables, plan, difference); !done) {
      return tl::unexpected{done.error()};
    }
  }
  for (const StoredLimit* limit : others_than(file.limits, plan.before(), words)) {
    if (!remove_others) {
      difference.others.push_back(limit->id);
      continue;
    }
    plan.remove(limit->id);
    difference.lines.push_back("- " + line_for(*limit));
    ++difference.removed;
  }
  std::size_t next = 0;
  for (std::size_t i = 0; i < file.limits.size(); ++i) {
    carry_policies(i, next, *rest, plan, difference);
    const FileLimit& limit = file.limits[i];
    if (auto put = plan.put(limit.wanted, remove_others); !put) {
      return policyd::failure(fmt::format("line {}: {}", limit.line, put.error().message));
    }
  }
  carry_policies(file.limits.size(), next, *rest, plan, difference);
  for (const CarriedRow& row : file.carried.others) {
    if (rest->known.contains(key_of(row))) continue;
    difference.lines.push_back("+ " + line_of(row));
    ++difference.carried;
    plan.add_row(row);
  }
  PlannedChange planned = plan.finish();
  for (std::size_t i = difference.removed; i < planned.results.size(); ++i) {
    add(planned.results[i], difference);
  }
  if (!difference.lines.empty()) {
    difference.gap = forgery_gap_note(planned.after, std::nullopt, dry);
  }
  LimitsChange out;
  out.rows = std::move(planned.changes);
  return out;
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
  if (difference.carried != 0) {
    output.line(fmt::format("Groups and policies{}: {}.",
                            dry ? " that would be created or changed" : " created or changed",
                            difference.carried));
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
  const auto text = read_input(words.front(), context);
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
  if (!file) return failed(fmt::format("{}: {}", shown(words.front()), file.error().message));
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
    "whole "
    "group, apart from members that 'sync' wrote; internal_domains and internal_ips are only added "
    "to, and lose the examples of a new database. Rows that are there already are not added again. "
    "All lines are checked first; then all of them are applied, or none. '+' and "
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
