// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/with_database.hpp"

#include <fmt/core.h>

#include <optional>
#include <utility>

#include "plugin/cluster/shared_change.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

Outcome act_on_database(const Arguments& arguments, const Context& context,
                        const DatabaseAction& action, std::string_view afterword) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  const auto database = open_as_owner(*daemon);
  if (!database) return failed(database.error());
  if (auto done = action(database->tables, *daemon); !done) {
    return failed(fmt::format("database {}: {}{}", daemon->config.database.string(),
                              done.error().message, afterword));
  }
  return {};
}

// Raised by each change of rules; where an old database does not have it, by each commit of another
// connection.
std::int64_t rules_version(const Tables& tables) {
  std::int64_t version = -1;
  const bool ours = tables.has_table("limits_rules_version");
  const auto done =
      tables.each(ours ? "SELECT Version FROM {p}limits_rules_version" : "PRAGMA data_version", {},
                  [&](const policyd::sql::Statement& row) { version = row.integer(0); });
  return done ? version : -1;
}

Result<void> make_change(const Tables& tables, const MakeChange& make, LimitsChange& out) {
  auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  auto around = read_surroundings(tables);
  if (!around) return tl::unexpected{around.error()};
  auto change = make(LimitPlan{std::move(*all), std::move(*around)}, tables);
  if (!change) return tl::unexpected{change.error()};
  out = std::move(*change);
  return {};
}

// Reads all that it needs at one moment, which the version in the result names.
Result<std::int64_t> plan(const Tables& tables, const MakeChange& make, LimitsChange& out) {
  if (policyd::sql::execute(tables.db, "BEGIN") != SQLITE_OK) {
    return tl::unexpected{tables.error(sqlite3_errcode(tables.db))};
  }
  const std::int64_t version = rules_version(tables);
  auto done = make_change(tables, make, out);
  policyd::sql::execute(tables.db, "ROLLBACK");
  if (!done) return tl::unexpected{done.error()};
  return version;
}

}  // namespace

Outcome with_database(const Arguments& arguments, const Context& context,
                      const DatabaseAction& action) {
  return act_on_database(arguments, context, action, "");
}

Outcome change_database(const Arguments& arguments, const Context& context,
                        const DatabaseAction& action) {
  return act_on_database(arguments, context, action, "; nothing was changed");
}

tl::expected<std::string, Failure> change_rules_silently(const Arguments& arguments,
                                                         const Context& context, bool dry,
                                                         const DatabaseAction& action) {
  std::optional<DaemonConfig> of_daemon;
  std::optional<SharedChange> shared;
  bool changed = false;
  auto done = change_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        if (dry) return action(tables, daemon);
        of_daemon = daemon;
        shared.emplace(*of_daemon);
        if (auto begun = shared->begin(tables); !begun) return begun;
        const std::int64_t before = rules_version(tables);
        auto acted = action(tables, daemon);
        changed = rules_version(tables) != before;
        return acted;
      });
  if (!done) return tl::unexpected{done.error()};
  if (!changed) return std::string{};
  auto finished = shared->finish();
  if (!finished) return failed(finished.error());
  return std::move(*finished);
}

Outcome change_rules(const Arguments& arguments, const Context& context, bool dry,
                     const DatabaseAction& action, const std::function<void()>& report) {
  const auto to_come = change_rules_silently(arguments, context, dry, action);
  if (!to_come) return tl::unexpected{to_come.error()};
  report();
  Output output = context.output;
  if (!to_come->empty()) output.note(*to_come + ".");
  return {};
}

Outcome change_limits(const Arguments& arguments, const Context& context, bool dry,
                      const MakeChange& make) {
  Output output = context.output;
  LimitsChange change;
  std::vector<Headline> headings;
  const auto warn = [&] {
    for (const std::string& warning : change.warnings) output.line("Warning: " + warning);
    output.flush();
  };
  return change_rules(
      arguments, context, dry,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        if (!dry) headings = headlines(daemon, context.now);
        const auto planned = plan(tables, make, change);
        if (!planned || dry || change.rows.empty()) {
          if (planned) warn();
          return planned ? Result<void>{} : tl::unexpected{planned.error()};
        }
        ChangeSet changes{tables, context.actor};
        if (auto begun = changes.begin(); !begun) return begun;
        if (rules_version(tables) != *planned) {
          if (auto again = make_change(tables, make, change); !again) return again;
        }
        for (const RowChange& row : change.rows) changes.run(row);
        if (!changes.result()) return changes.result();
        warn();
        return changes.commit();
      },
      [&] {
        print_headlines(headings, context.advice, output);
        change.report();
      });
}

Result<DaemonConfig> database_of(const Arguments& arguments, const Context& context) {
  return find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
}

}  // namespace limits
