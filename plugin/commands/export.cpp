// SPDX-License-Identifier: AGPL-3.0-only
// `export`: all limits as a text file.
#include <fmt/core.h>

#include <string>

#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/output_file.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/limit_text/limit_file.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// The database is read as its owner; the file is written as the user who called.
tl::expected<std::string, Failure> read_as_owner(const Arguments& arguments,
                                                 const Context& context) {
  const auto daemon = database_of(arguments, context);
  if (!daemon) return failed(daemon.error());
  const auto owner = AsOwner::of(daemon->config.database);
  if (!owner) return failed(owner.error());
  std::string text;
  auto read = with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        const auto all = read_limits(tables);
        if (!all) return tl::unexpected{all.error()};
        const auto special = read_special_quotas(tables);
        if (!special) return tl::unexpected{special.error()};
        const InWords expressed = in_words(*all, *special);
        const auto carried =
            read_carried(tables, expressed, carbonio::is_carbonio(context.zextras_home));
        if (!carried) return tl::unexpected{carried.error()};
        text = format_limit_file(*all, expressed, *carried);
        return {};
      });
  if (!read) return tl::unexpected{read.error()};
  return text;
}

Outcome run_export(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  const auto text = read_as_owner(arguments, context);
  if (!text) return tl::unexpected{text.error()};
  if (words.empty() || words.front() == "-") {
    context.output.text(*text);
    return {};
  }
  auto file = OutputFile::open(words.front());
  if (!file) return tl::unexpected{file.error()};
  if (auto written = file->write(*text); !written) return written;
  context.output.line(fmt::format("Wrote {}.", shown(words.front())));
  return {};
}

}  // namespace

const Command kExport = {
    "export",
    "[FILE]",
    "Write all limits to a file that 'import' reads",
    "The file has one line per limit, exactly as you would type it, so it can be kept in version "
    "control. Groups are lines that begin with 'group', on a Carbonio host without the members "
    "that 'sync' and 'hook' wrote; what no command can express is carried as rows of the tables, "
    "in lines that begin "
    "with 'row'. Blocks are left out: 'blocked' shows them. Without FILE the limits go to standard "
    "output.",
    "export\n"
    "export /var/tmp/limits.txt",
    {},
    1,
    run_export,
    Takes::file};

}  // namespace limits
