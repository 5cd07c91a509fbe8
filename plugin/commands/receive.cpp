// SPDX-License-Identifier: AGPL-3.0-only
// `receive`: limits mail that users of this server receive.
#include "plugin/commands/commands.hpp"
#include "plugin/commands/set_limit.hpp"
#include "plugin/limit_text/limit_options.hpp"

namespace limits {
namespace {

Outcome run(const Arguments& arguments, Context& context) {
  return set_limits(Direction::receive, arguments, context);
}

}  // namespace

const Command kReceive = {
    "receive",
    "LIMIT... [--everyone | --anyone | [--domain DOMAIN...] [--user ADDRESS...] "
    "[--group GROUP...] [--client NETWORK...]] [options]",
    "Limit what users of this server may receive",
    "LIMIT is AMOUNT/PERIOD: 125/min or 50M/h. Several can be combined: 125/min,2000/h.\n"
    "You can name several targets, also of different kinds; each gets a limit of its own.\n"
    "Take care: a flood of mail to an address or domain uses up its limit, and then wanted mail is "
    "rejected too. Against floods Carbonio recommends Postscreen: 'carbonio-limits postscreen "
    "enable'.\n"
    "The command defines the whole limit: running it again with other figures replaces the limit, "
    "and options you omit return to their defaults (only the name stays). Among limits with the "
    "same --per, one for a user replaces those for the user's domain, groups and everyone; one "
    "for a domain or group replaces the one for everyone. All other limits add up.",
    "receive 125/min\n"
    "receive 60/min --user support@example.org --per user --verdict defer",
    limit_options(Direction::receive),
    32,
    run};

}  // namespace limits
