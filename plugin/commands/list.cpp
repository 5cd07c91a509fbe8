// SPDX-License-Identifier: AGPL-3.0-only
// `list`: all limits, those made by hand too.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/limit_text/limit_json.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kOptions = {{{"json", "", "for programs"}}};

void print_table(const AllLimits& all, Context& context) {
  Output& output = context.output;
  if (all.limits.empty()) {
    output.line(context.advice.complete(
        "There are no limits. To limit each user of this server: carbonio-limits send 100/h"));
  } else {
    Table table{{{"ID", true},
                 {"DIRECTION"},
                 {"WHO", false, Shrinks::last},
                 {"LIMIT", false, Shrinks::last},
                 {"PER"},
                 {"VERDICT"},
                 {"STATE"}}};
    for (const StoredLimit& limit : all.limits) {
      const Colour colour = limit.enabled() ? Colour::green : Colour::dim;
      table.add({{fmt::format("{}", limit.id)},
                 {say_direction(limit)},
                 {say_who(limit)},
                 {format_limit(limit.plain_rates())},
                 {say_per(limit)},
                 {verdict_word(limit.verdict)},
                 {std::string{say_state(limit)}, colour}});
    }
    output.print(table);
  }
  const bool examples =
      std::any_of(all.limits.begin(), all.limits.end(), [](const StoredLimit& limit) {
        return limit.policy_name == "Test" && !limit.members.empty() &&
               limit.members.front().text.source == "@example.net";
      });
  if (examples) {
    output.note(
        "limits from @example.net to anyone are the examples that every fresh database "
        "has. They concern nobody else.");
  }
  if (!all.unreadable.empty()) {
    std::vector<std::string> ids;
    for (const std::int64_t id : all.unreadable) ids.push_back(fmt::format("{}", id));
    output.note(
        fmt::format("rows of quotas that are no limit, for want of a period, amount or "
                    "type: {}.",
                    join_with_and(ids)));
  }
}

Outcome run(const Arguments& arguments, Context& context) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto all = read_limits(database->tables);
  if (!all) {
    return failed(fmt::format("database {}: {}", place->file.string(), all.error().message));
  }
  if (!arguments.has("json")) {
    print_table(*all, context);
    return {};
  }
  nlohmann::json limits = nlohmann::json::array();
  for (const StoredLimit& limit : all->limits) limits.push_back(json_of(*all, limit));
  context.output.print(nlohmann::json{{"limits", limits}, {"unreadable_quotas", all->unreadable}});
  return {};
}

}  // namespace

const Command kList = {
    "list",
    "[--json]",
    "Show all limits, those made by hand with SQL too",
    "The ID is that of the limit's first row in the table quotas. 'everyone, except 2' means that "
    "two others have limits of their own or none; 'show ID' names them. Limits of another "
    "direction or another PER add up. PER 'client, IPv6 /32' is a limit by SenderIP:/32, typed by "
    "hand or by an earlier version: it counts each IPv4 address, but IPv6 by networks as large as "
    "a provider's. Its own line given again has each address counted, and keeps what IPv4 "
    "addresses have used.",
    "list\n"
    "list --json",
    kOptions,
    0,
    run};

}  // namespace limits
