// SPDX-License-Identifier: AGPL-3.0-only
// `export`: all limits as a text.
#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/limit_text/limit_file.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

Outcome write_file(const std::string& name, const std::string& text) {
  std::ofstream file{name, std::ios::binary | std::ios::trunc};
  file << text;
  file.close();
  if (file) return {};
  const std::string why = std::strerror(errno);
  return failed(fmt::format(
      "cannot write {}: {}; it is written as the owner of the database, so name a file he may "
      "write, or use 'carbonio-limits export > FILE'",
      shown(name), why));
}

Outcome run(const Arguments& arguments, Context& context) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto all = read_limits(database->tables);
  if (!all) {
    return failed(fmt::format("database {}: {}", place->file.string(), all.error().message));
  }
  const std::string text = format_limit_file(*all);
  const auto& words = arguments.words();
  if (words.empty() || words.front() == "-") {
    context.output.text(text);
    return {};
  }
  if (auto written = write_file(words.front(), text); !written) return written;
  context.output.line(fmt::format("Wrote {}.", shown(words.front())));
  return {};
}

}  // namespace

const Command kExport = {
    "export",
    "[FILE]",
    "Write all limits as a text that 'import' reads",
    "One line a limit, as one would type it, so that it can be kept in version control. Rows that "
    "cannot be said so are in it as comments. Without FILE it goes to standard output. FILE is "
    "written as the owner of the database, so its folder must be one he may write to.",
    "export\n"
    "export /var/tmp/limits.txt",
    {},
    1,
    run,
    Takes::file};

}  // namespace limits
