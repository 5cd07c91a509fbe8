// SPDX-License-Identifier: AGPL-3.0-only
// `sync`: copies Carbonio's domains and networks into the groups.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "hooks/carbonio/prov.hpp"
#include "plugin/block/blocks.hpp"
#include "plugin/commands/block_steps.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/host/group_sync.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kSyncOptions = {{
    {"dry-run", "", "show what would change, and change nothing"},
    kProvTimeoutOption,
}};

// The daemon does not apply them any more, but the Perl daemon would.
Outcome find_blocks_that_are_over(const Arguments& arguments, const Context& context,
                                  std::vector<StoredBlock>& over) {
  constexpr bool kReadsOnly = true;
  std::vector<std::string> notes;
  return change_rules_for_now(
      arguments, context, kReadsOnly,
      [&](const Tables& tables, const DaemonConfig&) -> Result<void> {
        auto all = read_blocks(tables);
        if (!all) return tl::unexpected{all.error()};
        std::copy_if(all->begin(), all->end(), std::back_inserter(over),
                     [&](const StoredBlock& each) { return each.is_over(context.now); });
        return {};
      },
      notes);
}

// Those whose account stays locked are kept, for another try in an hour.
void unlock_accounts(const Arguments& arguments, const Context& context,
                     std::vector<StoredBlock>& over, StepLines& lines) {
  const auto prov = prov_for(arguments, context);
  std::erase_if(over, [&](const StoredBlock& each) {
    return !each.block.account.empty() && !restore_account(prov, each.block, lines);
  });
}

Result<void> remove_blocks(const Tables& tables, const Context& context,
                           const std::vector<StoredBlock>& over) {
  if (over.empty()) return {};
  ChangeSet changes{tables, context.actor};
  if (auto begun = changes.begin(); !begun) return begun;
  for (const RowChange& row : rows_to_delete(over)) changes.run(row);
  for (const StoredBlock& each : over) changes.announce(event_of_end(each.block));
  return changes.commit();
}

Outcome run_sync(const Arguments& arguments, Context& context) {
  std::optional<carbonio::WantedMembers> wanted;
  if (carbonio::has_prov(context.zextras_home)) {
    auto asked = ask_carbonio(context.zextras_home, arguments);
    if (!asked) return tl::unexpected{asked.error()};
    wanted = std::move(*asked);
  }
  const bool dry_run = arguments.has("dry-run");
  carbonio::GroupsChange change;
  std::vector<StoredBlock> over;
  StepLines lines;
  if (auto found = find_blocks_that_are_over(arguments, context, over); !found) return found;
  if (!dry_run && !over.empty()) unlock_accounts(arguments, context, over, lines);
  return change_rules(
      arguments, context, dry_run,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        if (wanted) {
          auto made = carbonio::synchronise(tables.db, daemon.config.table_prefix, *wanted, dry_run,
                                            context.actor);
          if (!made) return tl::unexpected{made.error()};
          change = std::move(*made);
        }
        return dry_run ? Result<void>{} : remove_blocks(tables, context, over);
      },
      [&] {
        for (const std::string& line : lines.done) context.output.line(line);
        for (const std::string& line : lines.trouble) context.output.note(line + ".");
        for (const StoredBlock& each : over) {
          context.output.line(fmt::format("{} {}, whose block is over.",
                                          dry_run ? "Would unblock" : "Unblocked",
                                          escaped(each.block.who)));
        }
        if (wanted) {
          print_skipped(*wanted, context.output);
          print_change(change, dry_run, context.output);
        } else {
          context.output.line("Carbonio is not installed here, so the groups are unchanged.");
        }
      });
}

}  // namespace

const Command kSync = {
    "sync",
    "[--dry-run] [--prov-timeout SECONDS]",
    "Update the groups from Carbonio's domains and networks",
    "Each domain of this Carbonio becomes a member of group internal_domains, each network of "
    "zimbraMtaMyNetworks (of this server, else global; in a cluster of all MTAs, since its hosts "
    "share the groups) one of internal_ips. Only rows created by "
    "carbonio-limits, known by their Comment, and the examples of a fresh database are removed.\n"
    "Blocks that are over are removed, and accounts that they have locked are unlocked; without "
    "Carbonio that is all. The package runs it once an hour while the service is switched on.",
    "sync\n"
    "sync --dry-run",
    kSyncOptions,
    0,
    run_sync};

}  // namespace limits
