// SPDX-License-Identifier: AGPL-3.0-only
// `hook`: what scripts around Carbonio tell us, so that the groups are right at once.
#include <fmt/core.h>

#include "hooks/carbonio/group_sync.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

Outcome run(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  const bool created = !words.empty() && words.front() == "domain-created";
  if (words.size() != 2 || (!created && words.front() != "domain-deleted")) {
    return wrong_use(
        "give 'domain-created NAME' or 'domain-deleted NAME'; see 'carbonio-limits "
        "hook --help'");
  }
  const std::string member = carbonio::domain_member(words.back());
  if (member.empty()) return wrong_use(fmt::format("'{}' is no domain", shown(words.back())));
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  const auto changed =
      carbonio::put_domain(database->handle.get(), place->table_prefix, member, created);
  if (!changed) {
    return failed(fmt::format("database {}: {}", place->file.string(), changed.error().message));
  }
  const char* done = created ? "is there already" : "has no row that init or sync made";
  if (*changed) done = created ? "added" : "removed";
  context.output.line(fmt::format("internal_domains: {} {}", member, done));
  return {};
}

}  // namespace

const Command kHook = {
    "hook",
    "domain-created NAME | domain-deleted NAME",
    "Tell that Carbonio has a new domain, or one less",
    "For scripts that create or delete domains: group internal_domains is right at once, without "
    "waiting for the next sync. Carbonio is not asked. Rows that others made stay.",
    "hook domain-created example.org\n"
    "hook domain-deleted example.org",
    {},
    2,
    run,
    Takes::other,
    "domain-created domain-deleted"};

}  // namespace limits
