// SPDX-License-Identifier: AGPL-3.0-only
// `restore`: replaces the contents of the live database by those of a copy.
#include "plugin/database/restore.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/base/shell_words.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/backup.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

// What to type for the restored limits, since the daemon takes over the cluster's at once.
void note_cluster(const std::string& backup, const DaemonConfig& daemon, Context& context) {
  const policyd::Config& config = daemon.config;
  if (!daemon.configured || config.cluster_url.empty()) return;
  context.output.note(context.advice.complete(fmt::format(
      "the limits of the cluster replace the restored ones. For the restored ones on all its "
      "hosts: "
      "carbonio-limits cluster leave && carbonio-limits restore {} && carbonio-limits cluster join "
      "{}{} --give-ours",
      policyd::shell_word(backup), policyd::shell_word(config.cluster_url),
      config.cluster_password_file.empty() ? "" : " --password-stdin")));
}

// Whom the copy had blocked is not blocked again: it may be over, and the account's status another.
void print_blocks(const std::vector<StoredBlock>& kept, std::vector<StoredBlock> left_out,
                  Context& context) {
  if (!kept.empty()) context.output.line(kept_text(kept));
  std::erase_if(left_out, [&](const StoredBlock& each) {
    return !each.in_force(context.now) ||
           std::any_of(kept.begin(), kept.end(),
                       [&](const StoredBlock& now) { return now.block.who == each.block.who; });
  });
  if (left_out.empty()) return;
  context.output.note(
      context.advice.complete(fmt::format(
          "blocked in the copy, but not now: {}; to block someone: carbonio-limits block "
          "WHO",
          names_text(left_out))) +
      ".");
}

Outcome run_restore(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  if (words.empty()) {
    return wrong_use("the file is missing; give a copy created by 'carbonio-limits backup'");
  }
  if (words.front().empty()) return wrong_use("the file name is empty");
  const std::filesystem::path backup = words.front();
  return change_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        const auto copy = copy_aside(daemon.config.database, context.now);
        if (!copy) return tl::unexpected{copy.error()};
        // Tables that cannot be read are a reason to restore others.
        const auto kept = read_blocks(tables).value_or(std::vector<StoredBlock>{});
        std::vector<StoredBlock> left_out;
        auto done = restore_from(backup, daemon.config.database, tables, context.actor,
                                 [&](const Tables& restored) -> Result<void> {
                                   auto replaced = replace_blocks(restored, kept);
                                   if (!replaced) return tl::unexpected{replaced.error()};
                                   left_out = std::move(*replaced);
                                   return {};
                                 });
        if (!done) {
          std::error_code ignored;  // nothing happened, so the copy is not needed
          std::filesystem::remove(*copy, ignored);
          return done;
        }
        context.output.line(fmt::format("Copied the previous database to {}.", copy->string()));
        context.output.line(fmt::format("Restored limits and counters of {} from {}.",
                                        daemon.config.database.string(), escaped(backup.string())));
        print_blocks(kept, std::move(left_out), context);
        note_cluster(words.front(), daemon, context);
        return {};
      });
}

}  // namespace

const Command kRestore = {
    "restore",
    "FILE",
    "Restore a copy of the database while the daemon is running",
    "FILE is a copy created by 'backup', or another CBPolicyD database; the user who owns our "
    "database must be able to read it. Its limits and counters apply from the next mail on. "
    "Blocks stay as they are now; those of the copy are not restored. The "
    "previous contents are first copied to a file next to the database, with the date in its name. "
    "In a cluster its limits stay, and the command says how to have the restored ones on all "
    "hosts. "
    "Never move or copy a file over a database that is in use: SQLite would replay the old log "
    "into the new file.",
    "restore /var/tmp/limits.sqlitedb",
    {},
    1,
    run_restore,
    Takes::file};

}  // namespace limits
