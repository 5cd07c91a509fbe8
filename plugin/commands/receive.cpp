// SPDX-License-Identifier: AGPL-3.0-only
// `receive`: limits mail that users of this server receive.
#include <array>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/set_limit.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 14> kOptions = {{
    {"everyone", "", "the users of this server's own domains (the default)"},
    {"anyone", "", "every recipient, as in Zextras' article"},
    {"domain", "DOMAIN", "the users of a domain", true},
    {"user", "ADDRESS", "one user", true},
    {"group", "GROUP", "the members of a group of the table policy_groups", true},
    {"client", "NETWORK",
     "mail from a host or network, as 192.0.2.1 or 10.0.0.0/8, whoever sends it", true},
    {"except", "WHO", "not these: addresses, domains or groups (%NAME)", true},
    {"per", "WHAT",
     "what has its own counter: domain (the default), user, client (address) or everyone", false,
     "user domain client everyone"},
    {"verdict", "WHAT",
     "what becomes of more: reject (the default), defer, hold, discard or none (only counts)",
     false, "defer reject hold discard none"},
    {"message", "TEXT",
     "what the sender is told, instead of 'Rejecting: Too many messages received in last hour'; "
     "{used}, {limit}, {period} and {retry_after} stand for the figures"},
    {"name", "NAME", "the name of the policy in the database"},
    {"off", "", "make it, but switched off; 'on ID' puts it in force"},
    {"dry-run", "", "say what would be done, and change nothing"},
    {"print-sql", "", "print it as statements for sqlite3, and change nothing"},
}};

Outcome run(const Arguments& arguments, Context& context) {
  return set_limits(Direction::receive, arguments, context);
}

}  // namespace

const Command kReceive = {
    "receive",
    "LIMIT... [--everyone | --anyone | [--domain DOMAIN...] [--user ADDRESS...] "
    "[--group GROUP...] [--client NETWORK...]] [options]",
    "Limit what users of this server may receive",
    "LIMIT is AMOUNT/PERIOD: 125/min, 50M/h; several hold at the same time: 125/min,2000/h.\n"
    "Several may be named, of several kinds too: each gets a limit of its own.\n"
    "Take care: whoever floods an address or domain uses up its limit, and wanted mail is shut "
    "out too. Against floods Carbonio recommends Postscreen instead: 'carbonio-limits postscreen "
    "enable'.\n"
    "The command says all of the limit: given again with other figures it changes the limit, and "
    "options that are left out go back to their defaults (only the name stays). Where --per is the "
    "same, a limit for a user replaces the one for his domain, a group or everyone, and one for a "
    "domain or group that for everyone; all other limits add up.",
    "receive 125/min\n"
    "receive 60/min --user support@example.org --per user --verdict defer",
    kOptions,
    32,
    run};

}  // namespace limits
