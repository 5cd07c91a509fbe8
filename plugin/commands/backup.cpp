// SPDX-License-Identifier: AGPL-3.0-only
// `backup`: a copy of the database while the daemon runs.
#include "plugin/database/backup.hpp"

#include <fmt/core.h>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/daemon_news.hpp"

namespace limits {
namespace {

Outcome run(const Arguments& arguments, Context& context) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  // Tells what is wrong with the database, and becomes its owner.
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto& words = arguments.words();
  std::filesystem::path path;
  if (words.empty()) {
    const auto copy = copy_aside(place->file, context.now);
    if (!copy) return failed(copy.error());
    path = *copy;
  } else {
    if (words.front().empty()) return wrong_use("the file's name is empty");
    path = words.front();
    if (auto done = copy_to(place->file, path); !done) return failed(done.error());
  }
  context.output.line(fmt::format("Copied the database to {}.", escaped(path.string())));
  if (const auto trouble = read_news(*place).say_trouble()) {
    context.output.note(*trouble + ", and not in the copy.");
  }
  return {};
}

}  // namespace

const Command kBackup = {
    "backup",
    "[FILE]",
    "Copy the database while the daemon runs",
    "Through SQLite, so that the copy is whole: a plain cp leaves out what is still in the log. "
    "FILE must not exist; without it the copy is beside the database, with the date in its name. "
    "It is written as the owner of the database, so its folder must be one he may write to. "
    "It has the limits and what was counted; 'restore' takes it back.",
    "backup\n"
    "backup /var/tmp/limits.sqlitedb",
    {},
    1,
    run,
    Takes::file};

}  // namespace limits
