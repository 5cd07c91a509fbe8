// SPDX-License-Identifier: AGPL-3.0-only
// `block`: mail of an account or client is refused, from the next recipient on.
#include <fmt/core.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "hooks/service/service.hpp"
#include "plugin/block/block_text.hpp"
#include "plugin/block/unknown_name.hpp"
#include "plugin/block/whom.hpp"
#include "plugin/commands/carry_out_block.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit/duration.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::Block;

constexpr std::array<Option, 6> kBlockOptions = {{
    {"for", "DURATION", "end by itself after this time: 90s, 10min, 2h, 7day (at most 30day)"},
    {"account", "", "also lock the account in Carbonio, so that no one can log in"},
    {"hold", "", "also hold its mail that waits in the queue of this host"},
    {"dry-run", "", "show what would change, and change nothing"},
    {"json", "", "print JSON"},
    kAccountTimeoutOption,
}};

constexpr std::chrono::seconds kShortestBlock{1};

tl::expected<WantedBlock, Failure> wanted_block(const Arguments& arguments) {
  WantedBlock out;
  const auto& words = arguments.words();
  const auto whom = parse_typed_whom(words.empty() ? std::string{} : words.front());
  if (!whom) return wrong_use(whom.error().message);
  out.whom = *whom;
  out.dry = arguments.has("dry-run");
  out.lock = arguments.has("account");
  out.hold_queue = arguments.has("hold");
  if (const auto text = arguments.value("for")) {
    const auto duration = parse_duration(*text, kShortestBlock, kMaxPeriod, "1 s to 30 days");
    if (!duration) return wrong_use("--for: " + duration.error().message);
    out.duration = *duration;
  }
  if (out.whom.who == Who::client && out.lock) {
    return wrong_use("--account needs a login or an address: a client is no account");
  }
  if (const auto timeout = prov_timeout(arguments); !timeout) {
    return tl::unexpected{timeout.error()};
  }
  return out;
}

// At once, before Carbonio is asked.
void print_blocked_now(const MadeBlock& made, const WantedBlock& wanted, Context& context) {
  Output& output = context.output;
  print_headlines(made.warnings, context.advice, output);
  const Block& block = made.made.block;
  output.line(fmt::format("{} {} {}.", wanted.dry ? "Would block" : "Blocked", escaped(block.who),
                          until_text(block)));
  if (made.before) {
    output.line(fmt::format("It was blocked already, {}.", until_text(*made.before)));
  }
  output.flush();
}

void print_rest(const MadeBlock& made, const WantedBlock& wanted, const StepLines& lines,
                Context& context) {
  Output& output = context.output;
  output.line(fmt::format("{}: mail of {}.",
                          wanted.dry ? "It would be refused" : "Refused from now on",
                          items_text(made.made.items)));
  for (const std::string& line : lines.done) output.line(context.advice.complete(line));
  output.line(made.sent);
  for (const std::string& note : made.notes) output.note(context.advice.complete(note));
  for (const std::string& statement : made.statements) output.line(statement);
  output.line(wanted.dry ? "Nothing was changed (--dry-run)."
                         : context.advice.complete(fmt::format("'{}' ends the block.",
                                                               unblock_command(made.made.block))));
}

nlohmann::json json_of_block(const MadeBlock& made, const WantedBlock& wanted,
                             const StepLines& lines, const Context& context) {
  nlohmann::json out = json_of(made.made, context.now);
  out["dry_run"] = wanted.dry;
  out["blocked_before"] = made.before.has_value();
  out["done"] = lines.done;
  out["sent"] = made.sent;
  out["notes"] = made.notes;
  out["warnings"] = texts_of(made.warnings);
  return out;
}

// What makes it likely that another account was meant, unless Carbonio knows this one. Last, since
// afterwards this process is the database's owner.
void add_doubts(const Arguments& arguments, const Context& context, const WantedBlock& wanted,
                MadeBlock& made) {
  const Target& whom = wanted.whom;
  if (whom.who == Who::client || !wanted.more_items.empty()) return;
  const auto done = with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        WantedLimit of_whom;
        of_whom.target = whom;
        of_whom.per = Per::account;
        auto foreign =
            foreign_domains(tables, {of_whom}, carbonio::is_carbonio(context.zextras_home));
        if (!foreign) return tl::unexpected{foreign.error()};
        if (!foreign->empty()) made.notes.push_back(*foreign + ".");
        const OwnExtensions own = read_extensions(tables, daemon.config);
        auto unknown =
            unknown_name_note(tables, SentBy{whom.name, own.extensions, names_in(made.made.items)},
                              made.own, context.now);
        if (!unknown) return tl::unexpected{unknown.error()};
        if (!unknown->empty()) made.notes.push_back(std::move(*unknown));
        return {};
      });
  if (!done) made.notes.push_back(done.error().message + ".");
}

Outcome run_block(const Arguments& arguments, Context& context) {
  auto wanted = wanted_block(arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  MadeBlock made;
  StepLines lines;
  const bool json = arguments.has("json");
  auto done = carry_out_block(arguments, context, *wanted, made, lines, [&] {
    if (!json) print_blocked_now(made, *wanted, context);
  });
  if (!done) return done;
  const Block& block = made.made.block;
  if (!block.account.empty() && block.until && !carbonio::is_switched_on(context.zextras_home)) {
    made.notes.push_back(fmt::format(
        "while the service is switched off no sync unlocks the account at the end; '{}' "
        "does.",
        unblock_command(block)));
  }
  add_doubts(arguments, context, *wanted, made);
  if (json) {
    context.output.print(json_of_block(made, *wanted, lines, context));
  } else {
    print_rest(made, *wanted, lines, context);
  }
  if (lines.trouble.empty()) return {};
  return failed(
      context.advice.complete(fmt::format("{}{}", fmt::join(lines.trouble, "; "),
                                          wanted->dry ? "" : "; the block itself is in force")));
}

}  // namespace

const Command kBlock = {
    "block",
    "LOGIN|ADDRESS|CLIENT [--for DURATION] [--account] [--hold] [--dry-run] [--json] "
    "[--prov-timeout SECONDS]",
    "Refuse all mail of an account or client, such as a hacked one",
    "From the next recipient on Postfix refuses its mail for good (5xx), on all hosts of the "
    "cluster. Of an account that is mail with its login or its address as sender, in both "
    "spellings, anna and anna@example.org, if this server has one domain or Carbonio says which "
    "one is meant, and with its aliases; of a client or network what comes from there. A block "
    "goes before all other rules, holds whether AccessControl is switched on or not, and also in a "
    "pause. (The Perl daemon needs AccessControl, and knows no end.) It ends after --for, or with "
    "'unblock'. A second block replaces the first. Recipients that Postfix has accepted already "
    "still get the message.\n"
    "--account sets zimbraAccountStatus to locked, so that no one can log in; 'unblock' sets what "
    "it was before. After --for, 'sync' does so, within the hour, while the service is switched "
    "on. --hold puts what waits in "
    "Postfix's queue on this host on hold: mail with these senders, and mail that the account has "
    "sent under other names in the last day.\n"
    "Never blocked are postmaster, the account of the person who runs the command, system and "
    "administrator accounts of Carbonio, this host, the whole of an own network, and whatever "
    "'never' in section [block] of carbonio-limits.conf lists: logins, addresses, domains as "
    "@example.org, networks.\n"
    "A note says if the domain is not this server's, or if the account has sent nothing in the "
    "last 30 days: the name may be mistyped. What was sent under these names in the last day is "
    "shown; 'history' shows more. The rows are a "
    "policy named 'carbonio-limits block WHO' with a row of access_control.",
    "block anna@example.org\n"
    "block anna@example.org --for 8h --account --hold\n"
    "block 192.0.2.17 --for 1day\n"
    "block anna --dry-run",
    kBlockOptions,
    1,
    run_block};

}  // namespace limits
