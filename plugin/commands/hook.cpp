// SPDX-License-Identifier: AGPL-3.0-only
// `hook`: scripts around Carbonio report events, so the groups are up to date at once.
#include <fmt/core.h>

#include "hooks/carbonio/group_sync.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

Outcome run_hook(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  const bool created = !words.empty() && words.front() == "domain-created";
  if (words.size() != 2 || (!created && words.front() != "domain-deleted")) {
    return wrong_use(
        "use 'domain-created NAME' or 'domain-deleted NAME'; see 'carbonio-limits "
        "hook --help'");
  }
  const std::string member = carbonio::domain_member(words.back());
  if (member.empty())
    return wrong_use(fmt::format("not a valid domain: '{}'", shown(words.back())));
  return with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        const auto changed =
            carbonio::put_domain(tables.db, daemon.config.table_prefix, member, created);
        if (!changed) return tl::unexpected{changed.error()};
        const char* done = created ? "is already a member" : "has no row created by init or sync";
        if (*changed) done = created ? "added" : "removed";
        context.output.line(fmt::format("internal_domains: {} {}", member, done));
        return {};
      });
}

}  // namespace

const Command kHook = {
    "hook",
    "domain-created NAME | domain-deleted NAME",
    "Report that a domain was created or deleted in Carbonio",
    "For scripts that create or delete domains: updates group internal_domains at once, without "
    "waiting for the next sync. Carbonio is not asked. Only rows created by carbonio-limits are "
    "removed.",
    "hook domain-created example.org\n"
    "hook domain-deleted example.org",
    {},
    2,
    run_hook,
    Takes::other,
    "domain-created domain-deleted"};

}  // namespace limits
