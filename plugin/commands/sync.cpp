// SPDX-License-Identifier: AGPL-3.0-only
// `sync`: Carbonio's domains and networks into the groups.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/host/group_sync.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"dry-run", "", "say what would change, and change nothing"},
    kProvTimeoutOption,
}};

Outcome run(const Arguments& arguments, Context& context) {
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto wanted = ask_carbonio(context.zextras_home, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const bool dry_run = arguments.has("dry-run");
  const auto change =
      carbonio::synchronise(database->handle.get(), place->table_prefix, *wanted, dry_run);
  if (!change) {
    return failed(fmt::format("database {}: {}; nothing was changed", place->file.string(),
                              change.error().message));
  }
  say_skipped(*wanted, context.output);
  say_change(*change, dry_run, context.output);
  return {};
}

}  // namespace

const Command kSync = {
    "sync",
    "[--dry-run] [--prov-timeout SECONDS]",
    "Bring the groups up to date with Carbonio's domains and networks",
    "Each domain of this Carbonio is a member of group internal_domains, each network of "
    "zimbraMtaMyNetworks (of this server, else global) one of internal_ips. Rows made here are "
    "known by their Comment; those of others stay, but for the examples of a fresh database.\n"
    "The package has it run once an hour where the service is switched on.",
    "sync\n"
    "sync --dry-run",
    kOptions,
    0,
    run};

}  // namespace limits
