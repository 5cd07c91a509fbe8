// SPDX-License-Identifier: AGPL-3.0-only
// `send`: limits mail that users of this server send.
#include <array>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/set_limit.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 14> kOptions = {{
    {"everyone", "", "the users of this server's own domains (the default)"},
    {"anyone", "",
     "every sender in the world, as in Zextras' article; with --domain, --user or --group: their "
     "mail from anywhere, so that it counts though it may be forged"},
    {"domain", "DOMAIN", "the users of a domain", true},
    {"user", "ADDRESS", "one user", true},
    {"group", "GROUP", "the members of a group of the table policy_groups", true},
    {"client", "NETWORK",
     "mail from a host or network, as 192.0.2.1 or 10.0.0.0/8, whoever sends it", true},
    {"except", "WHO", "not these: addresses, domains or groups (%NAME)", true},
    {"per", "WHAT",
     "what has its own counter: user (the default), domain, client (address), account (the name "
     "given when logging in; where nobody is named, whatever sender the mail has) or everyone",
     false, "user domain client account everyone"},
    {"verdict", "WHAT",
     "what becomes of more: defer (the default), reject, hold, discard or none (only counts)",
     false, "defer reject hold discard none"},
    {"message", "TEXT",
     "what the sender is told, instead of 'Deferring: Too many messages sent in last hour'; "
     "{used}, {limit}, {period} and {retry_after} stand for the figures"},
    {"name", "NAME", "the name of the policy in the database"},
    {"off", "", "make it, but switched off; 'on ID' puts it in force"},
    {"dry-run", "", "say what would be done, and change nothing"},
    {"print-sql", "", "print it as statements for sqlite3, and change nothing"},
}};

Outcome run(const Arguments& arguments, Context& context) {
  return set_limits(Direction::send, arguments, context);
}

}  // namespace

const Command kSend = {
    "send",
    "LIMIT... [--everyone | [--anyone] [--domain DOMAIN...] [--user ADDRESS...] "
    "[--group GROUP...] [--client NETWORK...]] [options]",
    "Limit what users of this server may send",
    "LIMIT is AMOUNT/PERIOD: 100/h, 10/60s, 2000/day, or with K, M, G a size: 50M/h. Several hold "
    "at the same time: 20/min,200/h. Each recipient of a message counts.\n"
    "Several may be named, of several kinds too: each gets a limit of its own.\n"
    "Only mail counts that is authenticated or comes from this server's networks; others cannot "
    "use up a user's limit by naming him as the sender. (With --anyone all mail counts, whoever is "
    "named with it. Where there is a limit for anyone, give --anyone for those who have another "
    "one, "
    "too: else whoever names them as sender from outside is not limited.)\n"
    "The command says all of the limit: given again with other figures it changes the limit, and "
    "options that are left out go back to their defaults (only the name stays). Where --per is the "
    "same, a limit for a user replaces the one for his domain, a group or everyone, and one for a "
    "domain or group that for everyone; all other limits add up.\n"
    "So --verdict none takes the protection away where a limit for the same users with the same "
    "--per is in force: that one only watches then. To try figures beside it, use another --per: "
    "account where it counts per user.",
    "send 100/h\n"
    "send 20/min,200/h,1000/day --domain example.org\n"
    "send 5000/day --user newsletter@example.org\n"
    "send 10000/day --domain example.org --per domain\n"
    "send 500/h --client 192.0.2.10 --per client\n"
    "send 100/h --except boss@example.org postmaster@example.org\n"
    "send 50/h --verdict none --per account  # watches",
    kOptions,
    32,
    run};

}  // namespace limits
