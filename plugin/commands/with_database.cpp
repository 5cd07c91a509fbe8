// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/with_database.hpp"

#include <fmt/core.h>

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

}  // namespace

Outcome with_database(const Arguments& arguments, const Context& context,
                      const DatabaseAction& action) {
  return act_on_database(arguments, context, action, "");
}

Outcome change_database(const Arguments& arguments, const Context& context,
                        const DatabaseAction& action) {
  return act_on_database(arguments, context, action, "; nothing was changed");
}

Outcome with_limits(const Arguments& arguments, const Context& context,
                    const std::function<Result<void>(const AllLimits& all)>& action) {
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
                         const auto all = read_limits(tables);
                         if (!all) return tl::unexpected{all.error()};
                         return action(*all);
                       });
}

Outcome change_limits(const Arguments& arguments, const Context& context, bool dry,
                      const LimitsChange& action) {
  return change_database(arguments, context,
                         [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
                           ChangeSet changes{tables};
                           if (auto begun = changes.begin(); !begun) return begun;
                           auto all = read_limits(tables);
                           if (!all) return tl::unexpected{all.error()};
                           auto done = action(changes, *all, daemon);
                           if (done) done = dry ? changes.result() : changes.commit();
                           return done;
                         });
}

Result<DaemonConfig> database_of(const Arguments& arguments, const Context& context) {
  return find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
}

}  // namespace limits
