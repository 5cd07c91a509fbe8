// SPDX-License-Identifier: AGPL-3.0-only
// `sync`: copies Carbonio's domains and networks into the groups.
#include <array>
#include <utility>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/host/group_sync.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kSyncOptions = {{
    {"dry-run", "", "show what would change, and change nothing"},
    kProvTimeoutOption,
}};

Outcome run_sync(const Arguments& arguments, Context& context) {
  const auto wanted = ask_carbonio(context.zextras_home, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const bool dry_run = arguments.has("dry-run");
  carbonio::GroupsChange change;
  return change_rules(
      arguments, context, dry_run,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        auto made = carbonio::synchronise(tables.db, daemon.config.table_prefix, *wanted, dry_run,
                                          context.actor);
        if (!made) return tl::unexpected{made.error()};
        change = std::move(*made);
        return {};
      },
      [&] {
        print_skipped(*wanted, context.output);
        print_change(change, dry_run, context.output);
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
    "The package runs it once an hour while the service is switched on.",
    "sync\n"
    "sync --dry-run",
    kSyncOptions,
    0,
    run_sync};

}  // namespace limits
