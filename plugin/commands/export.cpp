// SPDX-License-Identifier: AGPL-3.0-only
// `export`: all limits as a text file.
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/limit_text/limit_file.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

Result<void> write_file(const std::string& name, const std::string& text) {
  std::ofstream file{name, std::ios::binary | std::ios::trunc};
  file << text;
  file.close();
  if (file) return {};
  const std::string why = std::strerror(errno);
  return policyd::failure(fmt::format(
      "cannot write {}: {}; user {}, who owns the database, writes the file, so choose a folder "
      "that this user can write to, or use 'carbonio-limits export > FILE'",
      shown(name), why, user_name(geteuid())));
}

Outcome run_export(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
                         const auto all = read_limits(tables);
                         if (!all) return tl::unexpected{all.error()};
                         const auto special = read_special_quotas(tables);
                         if (!special) return tl::unexpected{special.error()};
                         const InWords expressed = in_words(*all, *special);
                         const auto carried = read_carried(tables, expressed);
                         if (!carried) return tl::unexpected{carried.error()};
                         const std::string text = format_limit_file(*all, expressed, *carried);
                         if (words.empty() || words.front() == "-") {
                           context.output.text(text);
                           return {};
                         }
                         if (auto written = write_file(words.front(), text); !written)
                           return written;
                         context.output.line(fmt::format("Wrote {}.", shown(words.front())));
                         return {};
                       });
}

}  // namespace

const Command kExport = {
    "export",
    "[FILE]",
    "Write all limits to a file that 'import' reads",
    "The file has one line per limit, exactly as you would type it, so it can be kept in version "
    "control. Groups, with the members that 'sync' did not write, are lines that begin with "
    "'group'; "
    "what no command can express is carried as rows of the tables, in lines that begin with 'row'. "
    "Without FILE the "
    "limits go to standard output. FILE is written by the user who owns the database, who must be "
    "able to write to its folder.",
    "export\n"
    "export /var/tmp/limits.txt",
    {},
    1,
    run_export,
    Takes::file};

}  // namespace limits
