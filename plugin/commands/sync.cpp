// SPDX-License-Identifier: AGPL-3.0-only
// `sync`: copies Carbonio's domains and networks into the groups.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/host/group_sync.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kOptions = {{
    {"dry-run", "", "show what would change, and change nothing"},
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
  print_skipped(*wanted, context.output);
  print_change(*change, dry_run, context.output);
  return {};
}

}  // namespace

const Command kSync = {
    "sync",
    "[--dry-run] [--prov-timeout SECONDS]",
    "Update the groups from Carbonio's domains and networks",
    "Each domain of this Carbonio becomes a member of group internal_domains, each network of "
    "zimbraMtaMyNetworks (of this server, else global) one of internal_ips. Only rows created by "
    "carbonio-limits, known by their Comment, and the examples of a fresh database are removed.\n"
    "The package runs it once an hour while the service is switched on.",
    "sync\n"
    "sync --dry-run",
    kOptions,
    0,
    run};

}  // namespace limits
