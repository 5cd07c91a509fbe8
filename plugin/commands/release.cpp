// SPDX-License-Identifier: AGPL-3.0-only
// `release`: the database as one plain file, for a program other than ours. What removing the
// package does last.
#include <fmt/core.h>

#include <system_error>

#include "daemon/sqlite/sqlite.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"

namespace limits {
namespace {

// The answer is the mode as it is then; where another connection is open SQLite says "locked".
Result<void> leave_write_ahead(sqlite3* db) {
  auto rows = policyd::sql::Statement::prepare(db, "PRAGMA journal_mode = DELETE");
  if (!rows) return tl::unexpected{rows.error()};
  if (rows->step() == SQLITE_ROW && rows->text(0) == "delete") return {};
  return policyd::failure(policyd::sql::message_of(db));
}

Outcome run(const Arguments& arguments, Context& context) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const std::string file = place->file.string();
  std::error_code code;
  if (!std::filesystem::exists(place->file, code) && !code) {
    context.output.line(fmt::format("There is no database {}.", file));
    return {};
  }
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  if (auto done = leave_write_ahead(database->handle.get()); !done) {
    return failed(fmt::format(
        "cannot release {}: {}; stop the daemon ('carbonio-limits service stop') and whatever else "
        "has the database open, and try again",
        file, done.error().message));
  }
  context.output.line(fmt::format("Database {} is one plain file now.", file));
  return {};
}

}  // namespace

const Command kRelease = {
    "release",
    "",
    "Leave the database to another program, as one plain file",
    "For the Perl daemon, or for a copy with cp. No program may have the database open: stop the "
    "service first. Limits and counters stay. Our daemon takes the database back at its next "
    "start. Removing the package does this by itself.",
    "release",
    {},
    0,
    run};

}  // namespace limits
