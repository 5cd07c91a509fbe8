// SPDX-License-Identifier: AGPL-3.0-only
// `hook`: scripts around Carbonio report events, so the groups are up to date at once.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "hooks/carbonio/group_sync.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct Event {
  std::string_view word;
  carbonio::OwnGroup group;
  bool present;
};
constexpr std::array<Event, 4> kEvents = {
    {{"domain-created", carbonio::OwnGroup::domains, true},
     {"domain-deleted", carbonio::OwnGroup::domains, false},
     {"network-added", carbonio::OwnGroup::networks, true},
     {"network-removed", carbonio::OwnGroup::networks, false}}};

Outcome run_hook(const Arguments& arguments, Context& context) {
  const auto& words = arguments.words();
  const Event* const event = std::find_if(kEvents.begin(), kEvents.end(), [&](const Event& known) {
    return words.size() == 2 && known.word == words.front();
  });
  if (event == kEvents.end()) {
    return wrong_use(
        "use 'domain-created NAME', 'domain-deleted NAME', 'network-added NETWORK' or "
        "'network-removed NETWORK'; see 'carbonio-limits hook --help'");
  }
  const bool domain = event->group == carbonio::OwnGroup::domains;
  const std::string member =
      domain ? carbonio::domain_member(words.back()) : carbonio::network_member(words.back());
  if (member.empty()) {
    return wrong_use(
        domain ? fmt::format("not a valid domain: '{}'", shown(words.back()))
               : fmt::format("not a valid network: '{}'; write it like 192.0.2.1, 10.0.0.0/8 or "
                             "2001:db8::/32",
                             shown(words.back())));
  }
  if (member.ends_with("/0") && event->present) {
    return wrong_use(
        fmt::format("{} contains every address, so anyone could use up a user's limit; name this "
                    "server's own networks",
                    shown(words.back())));
  }
  bool changed = false;
  return change_rules(
      arguments, context, false,
      [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        const auto put = carbonio::put_member(tables.db, daemon.config.table_prefix, event->group,
                                              member, event->present, context.actor);
        if (!put) return tl::unexpected{put.error()};
        changed = *put;
        return {};
      },
      [&] {
        const char* done =
            event->present ? "is already a member" : "has no row created by init, sync or hook";
        if (changed) done = event->present ? "added" : "removed";
        context.output.line(fmt::format(
            "{}: {} {}", carbonio::kOwnGroups.at(static_cast<std::size_t>(event->group)), member,
            done));
      });
}

}  // namespace

const Command kHook = {
    "hook",
    "domain-created NAME | domain-deleted NAME | network-added NETWORK | network-removed NETWORK",
    "Report a new or deleted domain or network of this server",
    "For scripts that create or delete domains in Carbonio: updates group internal_domains at "
    "once, without waiting for the next sync. Carbonio is not asked, and sync later removes what "
    "Carbonio does not know. On a host without Carbonio these commands fill the groups "
    "internal_domains and internal_ips. The examples of a fresh database go with the first member "
    "that is added. Only rows created by carbonio-limits are removed.",
    "hook domain-created example.org\n"
    "hook domain-deleted example.org\n"
    "hook network-added 192.0.2.0/24",
    {},
    2,
    run_hook,
    Takes::other,
    "domain-created domain-deleted network-added network-removed"};

}  // namespace limits
