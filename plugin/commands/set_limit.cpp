// SPDX-License-Identifier: AGPL-3.0-only
// `send` and `receive`: read the limit from the command line, write its rows in one transaction,
// and report what changed.

#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct Written {
  std::vector<std::string> lines;
  std::vector<std::string> notes;
  std::vector<std::string> statements;
  bool changed = false;
};

Result<Written> write(ChangeSet& changes, AllLimits& limits, const std::vector<WantedLimit>& all,
                      bool dry) {
  Written out;
  for (const WantedLimit& wanted : all) {
    auto result = apply_limit(changes, limits, wanted);
    if (!result) return tl::unexpected{result.error()};
    for (std::string& line : report_change(describe(wanted), *result, dry)) {
      out.lines.push_back(std::move(line));
    }
    out.changed = out.changed || result->kind != ApplyResult::Kind::unchanged;
    if (auto gap = forgery_gap_note(limits, result->limit.id, dry); !gap.empty()) {
      out.notes.push_back(std::move(gap));
    }
  }
  auto notes = example_groups(changes.tables(), all.front());
  if (!notes) return tl::unexpected{notes.error()};
  for (std::string& note : *notes) out.notes.push_back(std::move(note));
  auto foreign = foreign_domains(changes.tables(), all);
  if (!foreign) return tl::unexpected{foreign.error()};
  if (!foreign->empty()) out.notes.push_back(std::move(*foreign));
  out.statements = changes.typed();
  return out;
}

void print_sql(const Written& written, Output& output) {
  for (const std::string& line : written.lines) output.line("-- " + line);
  if (written.statements.empty()) return;
  output.line("BEGIN IMMEDIATE;");
  for (const std::string& statement : written.statements) output.line(statement);
  output.line("COMMIT;");
}

void print_written(const Written& written, bool may_refuse_wanted_mail, Context& context) {
  Output& output = context.output;
  for (const std::string& line : written.lines) output.line(line);
  if (written.changed && may_refuse_wanted_mail) {
    output.note(context.advice.complete(
        "a flood of mail to such an address uses up its limit, and then wanted mail is rejected "
        "too. Against floods Carbonio recommends Postscreen: carbonio-limits postscreen enable"));
  }
  for (const std::string& note : written.notes) output.note(context.advice.complete(note) + ".");
}

Outcome set_limits(Direction direction, const Arguments& arguments, Context& context) {
  const auto wanted = wanted_limits(direction, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const bool sql = arguments.has("print-sql");
  const bool dry = sql || arguments.has("dry-run");
  const bool may_refuse_wanted_mail =
      direction == Direction::receive && wanted->front().verdict.has_value();
  Written written;
  auto done =
      change_limits(arguments, context, dry,
                    [&](ChangeSet& changes, AllLimits& all, const DaemonConfig&) -> Result<void> {
                      auto result = write(changes, all, *wanted, dry);
                      if (!result) return tl::unexpected{result.error()};
                      written = std::move(*result);
                      return {};
                    });
  if (!done) return done;
  if (sql) {
    print_sql(written, context.output);
    return {};
  }
  print_written(written, may_refuse_wanted_mail, context);
  if (dry) context.output.line("Nothing was changed (--dry-run).");
  return {};
}

Outcome run_send(const Arguments& arguments, Context& context) {
  return set_limits(Direction::send, arguments, context);
}

Outcome run_receive(const Arguments& arguments, Context& context) {
  return set_limits(Direction::receive, arguments, context);
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
    run_send};

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
    run_receive};

}  // namespace limits
