// SPDX-License-Identifier: AGPL-3.0-only
// `send`: limits mail that users of this server send.
#include "plugin/commands/commands.hpp"
#include "plugin/commands/set_limit.hpp"
#include "plugin/limit_text/limit_options.hpp"

namespace limits {
namespace {

Outcome run(const Arguments& arguments, Context& context) {
  return set_limits(Direction::send, arguments, context);
}

}  // namespace

const Command kSend = {
    "send",
    "LIMIT... [--everyone | [--anyone] [--domain DOMAIN...] [--user ADDRESS...] "
    "[--group GROUP...] [--client NETWORK...]] [options]",
    "Limit what users of this server may send",
    "LIMIT is AMOUNT/PERIOD: 100/h, 10/60s, 2000/day, or a size with K, M or G: 50M/h. Several "
    "can be combined: 20/min,200/h. Each recipient of a message counts.\n"
    "You can name several targets, also of different kinds; each gets a limit of its own.\n"
    "Only mail that is authenticated or comes from this server's networks counts, so outsiders "
    "cannot use up a user's limit by forging the sender address. With --anyone all mail counts, "
    "also for the targets named with it. If there is a limit for anyone, give --anyone for targets "
    "with a limit of their own as well; otherwise mail from outside that forges their address is "
    "not limited at all.\n"
    "The command defines the whole limit: running it again with other figures replaces the limit, "
    "and options you omit return to their defaults (only the name stays). Among limits with the "
    "same --per, one for a user replaces those for the user's domain, groups and everyone; one "
    "for a domain or group replaces the one for everyone. All other limits add up.\n"
    "Take care with --verdict none: it only monitors, so it removes protection if it replaces a "
    "limit with the same --per. To try out figures next to such a limit, use a different --per: "
    "account if it counts per user.",
    "send 100/h\n"
    "send 20/min,200/h,1000/day --domain example.org\n"
    "send 5000/day --user newsletter@example.org\n"
    "send 10000/day --domain example.org --per domain\n"
    "send 500/h --client 192.0.2.10 --per client\n"
    "send 100/h --except boss@example.org postmaster@example.org\n"
    "send 50/h --verdict none --per account  # only monitors",
    limit_options(Direction::send),
    32,
    run};

}  // namespace limits
