// SPDX-License-Identifier: AGPL-3.0-only
// `restore`: the contents of a copy back into the live database.
#include <fmt/core.h>

#include "plugin/commands/commands.hpp"
#include "plugin/database/backup.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/database/restore.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

Outcome run(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) return wrong_use("the file is missing; as 'carbonio-limits backup' made it");
  if (words.front().empty()) return wrong_use("the file's name is empty");
  const std::filesystem::path backup = words.front();
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto copy = copy_aside(place->file, context.now);
  if (!copy) return failed(copy.error());
  if (auto done = restore_from(backup, place->file, database->tables); !done) {
    std::error_code ignored;  // nothing happened, so there is nothing to go back to
    std::filesystem::remove(*copy, ignored);
    return failed(
        fmt::format("{}; database {} was not touched", done.error().message, place->file.string()));
  }
  context.output.line(fmt::format("Copied the database as it was to {}.", copy->string()));
  context.output.line(fmt::format("Database {} is as in {} now, counters too.",
                                  place->file.string(), escaped(backup.string())));
  return {};
}

}  // namespace

const Command kRestore = {
    "restore",
    "FILE",
    "Take a copy of the database back while the daemon runs",
    "FILE is what 'backup' made, or another database of CBPolicyD. Its limits and counters are in "
    "force by the next mail. The owner of the database must be able to read it. What was there is "
    "copied first, to a file with the date beside the "
    "database. Never move or copy a file over a database that is in use: its old log would be "
    "played into the new file.",
    "restore /var/tmp/limits.sqlitedb",
    {},
    1,
    run,
    Takes::file};

}  // namespace limits
