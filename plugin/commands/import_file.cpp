// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/import_file.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "daemon/base/read_file.hpp"
#include "daemon/base/unique_fd.hpp"
#include "daemon/rules/match/list_item.hpp"
#include "hooks/carbonio/group_sync.hpp"
#include "plugin/answers/signals.hpp"
#include "plugin/limit_text/carried_text.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

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
    units.of |= units_of(limit.wanted.rates).of;
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
  std::unordered_map<std::string, std::string> listed;  // lines of rows, by listed_name()
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
    if (missing.erase(member) == 0) continue;
    change.insert.push_back({0, member, false});
    const auto items = policyd::member_items(member);
    const bool unfit = std::any_of(items.begin(), items.end(), [](std::string_view item) {
      return policyd::item_problem(item, policyd::Side::source).has_value();
    });
    if (unfit) difference.unfit_members.push_back(member);
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

// Its kind, if the policy is a signal.
std::optional<Signal::Kind> kind_of_signal(const CarriedPolicy& policy) {
  const bool members =
      std::any_of(policy.rows.begin(), policy.rows.end(),
                  [](const CarriedRow& row) { return row.table == "policy_members"; });
  const auto signal = members ? std::nullopt : parse_signal(name_of(policy));
  if (!signal) return std::nullopt;
  return signal->kind;
}

// A signal replaces those of its kind, of which the first would count. Returns whether there is
// nothing to change.
bool replace_signals(Signal::Kind kind, const CarriedPolicy& policy, const Rest& rest,
                     std::vector<RowChange>& first, Difference& difference) {
  std::vector<const CarriedPolicy*> here;
  for (const CarriedPolicy& each : rest.here.policies) {
    if (kind_of_signal(each) == kind) here.push_back(&each);
  }
  if (here.size() == 1 && key_of(*here.front()) == key_of(policy)) return true;
  for (const CarriedPolicy* each : here) {
    for (const CarriedRow& row : each->rows) difference.lines.push_back("- " + line_of(row));
  }
  for (RowChange& row : rows_to_remove(kind)) first.push_back(std::move(row));
  return false;
}

// `first`: what is to be done before all else.
void carry_policies(std::size_t limits_before, std::size_t& next, const Rest& rest, LimitPlan& plan,
                    std::vector<RowChange>& first, Difference& difference) {
  const auto& policies = rest.file.carried.policies;
  for (; next < policies.size() && rest.file.places[next] <= limits_before; ++next) {
    if (is_block(policies[next])) {
      ++difference.blocks;
      continue;
    }
    const auto signal = kind_of_signal(policies[next]);
    if (signal ? replace_signals(*signal, policies[next], rest, first, difference)
               : rest.known.contains(key_of(policies[next]))) {
      continue;
    }
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
  Rest out{file, std::move(*here), {}, {}};
  for (const CarriedPolicy& policy : out.here.policies) out.known.insert(key_of(policy));
  for (const CarriedRow& row : out.here.others) {
    out.known.insert(key_of(row));
    out.listed.emplace(listed_name(row), line_of(row));
  }
  return out;
}

}  // namespace

tl::expected<std::string, Failure> read_limit_input(const std::string& name,
                                                    const Context& context) {
  const bool standard_input = name == "-";
  if (standard_input && context.input) return *context.input;
  const auto file =
      standard_input ? policyd::UniqueFd{::dup(STDIN_FILENO)} : policyd::open_to_read(name);
  const std::string problem = file ? "" : std::strerror(errno);
  const std::string what = standard_input ? "standard input" : shown(name);
  if (!file) return failed(fmt::format("cannot read {}: {}", what, problem));
  auto text = policyd::read_to_end(file.get(), kMaxLimitFile);
  if (!text) return failed(fmt::format("cannot read {}: {}", what, text.error().message));
  std::error_code ignored;
  if (text->empty() && !standard_input && std::filesystem::is_fifo(name, ignored)) {
    return failed(fmt::format("{} is a pipe to which no one writes", what));
  }
  return std::move(*text);
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
  std::vector<RowChange> first;
  std::size_t next = 0;
  for (std::size_t i = 0; i < file.limits.size(); ++i) {
    carry_policies(i, next, *rest, plan, first, difference);
    const FileLimit& limit = file.limits[i];
    if (auto put = plan.put(limit.wanted, remove_others); !put) {
      return policyd::failure(fmt::format("line {}: {}", limit.line, put.error().message));
    }
  }
  carry_policies(file.limits.size(), next, *rest, plan, first, difference);
  for (const CarriedRow& row : file.carried.others) {
    if (rest->known.contains(key_of(row))) continue;
    const auto here = rest->listed.find(listed_name(row));
    if (here != rest->listed.end()) difference.lines.push_back("- " + here->second);
    difference.lines.push_back("+ " + line_of(row));
    ++difference.carried;
    plan.add_row(row);
  }
  auto planned = plan.finish();
  if (!planned) return tl::unexpected{planned.error()};
  for (std::size_t i = difference.removed; i < planned->results.size(); ++i) {
    add(planned->results[i], difference);
  }
  if (!difference.lines.empty()) {
    difference.gap = forgery_gap_note(planned->after, std::nullopt, dry);
  }
  LimitsChange out;
  out.rows = std::move(first);
  for (RowChange& row : planned->changes) out.rows.push_back(std::move(row));
  return out;
}

}  // namespace limits
