// SPDX-License-Identifier: AGPL-3.0-only
// `release`: turns the database into one plain file that programs other than ours can use. Removing
// the package runs it last.
#include <fmt/core.h>

#include <system_error>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"

namespace limits {
namespace {

// The answer is the mode that is in effect afterwards; if another connection is open, SQLite says
// "locked".
Result<void> leave_wal_mode(sqlite3* db) {
  auto rows = policyd::sql::Statement::prepare(db, "PRAGMA journal_mode = DELETE");
  if (!rows) return tl::unexpected{rows.error()};
  if (rows->step() == SQLITE_ROW && rows->text(0) == "delete") return {};
  return policyd::failure(
      fmt::format("cannot release it: {}; stop the daemon ('carbonio-limits service stop') and "
                  "any other program that has the database open, and try again",
                  policyd::sql::message_of(db)));
}

Outcome run_release(const Arguments& arguments, Context& context) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  const std::string file = daemon->config.database.string();
  std::error_code code;
  if (!std::filesystem::exists(daemon->config.database, code) && !code) {
    context.output.line(fmt::format("There is no database {}.", file));
    return {};
  }
  return with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        auto done = leave_wal_mode(tables.db);
        if (!done) return done;
        context.output.line(fmt::format("Database {} is now one plain file.", file));
        return {};
      });
}

}  // namespace

const Command kRelease = {
    "release",
    "",
    "Turn the database into one plain file for other programs",
    "Use this before the Perl daemon takes over the database, or before copying it with cp. No "
    "program may have the database open, so stop the service first. Limits and counters are kept. "
    "Our daemon can use the database again at its next start. Removing the package does this "
    "automatically.",
    "release",
    {},
    0,
    run_release};

}  // namespace limits
