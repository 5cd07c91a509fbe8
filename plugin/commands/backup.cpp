// SPDX-License-Identifier: AGPL-3.0-only
// `backup`: copies the database while the daemon is running.
#include "plugin/database/backup.hpp"

#include <fmt/core.h>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/daemon_news.hpp"

namespace limits {
namespace {

Result<std::filesystem::path> copy(const std::filesystem::path& database,
                                   const std::vector<std::string>& words, policyd::TimePoint now) {
  if (words.empty()) return copy_aside(database, now);
  const std::filesystem::path path = words.front();
  if (auto done = copy_to(database, path); !done) return tl::unexpected{done.error()};
  return path;
}

Outcome run_backup(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (!words.empty() && words.front().empty()) return wrong_use("the file name is empty");
  return with_database(
      arguments, context, [&](const Tables&, const DaemonConfig& daemon) -> Result<void> {
        const auto path = copy(daemon.config.database, words, context.now);
        if (!path) return tl::unexpected{path.error()};
        context.output.line(fmt::format("Copied the database to {}.", escaped(path->string())));
        if (const auto trouble = read_news(daemon).trouble_text()) {
          context.output.note(*trouble + " and not in the copy.");
        }
        return {};
      });
}

}  // namespace

const Command kBackup = {
    "backup",
    "[FILE]",
    "Copy the database while the daemon is running",
    "The copy is complete, including what is still in the write-ahead log; a plain cp is not. FILE "
    "must not exist yet. Without FILE the copy is created next to the database, with the date in "
    "its name. The copy is written by the user who owns the database, who must be able to write to "
    "its folder. It contains limits and counters; 'restore' restores it.",
    "backup\n"
    "backup /var/tmp/limits.sqlitedb",
    {},
    1,
    run_backup,
    Takes::file};

}  // namespace limits
