// SPDX-License-Identifier: AGPL-3.0-only
// `send` and `receive`: read the limit from the command line, write its rows in one transaction,
// and report what changed.

#include "hooks/service/service.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/step_notes.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_line.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/limit_text/target_notes.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct Written {
  std::vector<std::string> lines;
  std::vector<std::string> notes;
  std::vector<std::string> statements;  // for --print-sql
  bool changed = false;
};

std::string command_with(WantedLimit wanted, const std::vector<Rate>& rates) {
  wanted.rates = rates;
  return "carbonio-limits " + line_of(wanted);
}

Result<std::vector<std::string>> notes_on(const Tables& tables, const PlannedChange& planned,
                                          const std::vector<WantedLimit>& all, bool dry,
                                          bool carbonio) {
  std::vector<std::string> out;
  for (const ApplyResult& result : planned.results) {
    auto gap = forgery_gap_note(planned.after, result.limit.id, dry);
    if (!gap.empty()) out.push_back(std::move(gap));
  }
  for (std::string& note : target_notes(all, planned.after)) out.push_back(std::move(note));
  for (std::string& note : example_groups(tables, all.front(), carbonio)) {
    out.push_back(std::move(note));
  }
  auto foreign = foreign_domains(tables, all, carbonio);
  if (!foreign) return tl::unexpected{foreign.error()};
  if (!foreign->empty()) out.push_back(std::move(*foreign));
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

// The values, the change they make, and the same change in words and as statements.
Outcome set_limits(Direction direction, const Arguments& arguments, Context& context) {
  const auto wanted = wanted_limits(direction, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const bool sql = arguments.has("print-sql");
  const bool dry = sql || arguments.has("dry-run");
  const bool may_refuse_wanted_mail =
      direction == Direction::receive && wanted->front().verdict.has_value();
  const auto make = [&](LimitPlan plan, const Tables& tables) -> Result<LimitsChange> {
    for (const WantedLimit& limit : *wanted) {
      if (auto put = plan.put(limit); !put) return tl::unexpected{put.error()};
    }
    auto planned = plan.finish();
    if (!planned) return tl::unexpected{planned.error()};
    Written written;
    LimitsChange out;
    for (const ApplyResult& result : planned->results) {
      for (std::string& line : report_change(describe(result.wanted), result, dry)) {
        written.lines.push_back(std::move(line));
      }
      written.changed = written.changed || result.kind != ApplyResult::Kind::unchanged;
      const auto warnings = warnings_of(result, [&](const std::vector<Rate>& rates) {
        return command_with(result.wanted, rates);
      });
      for (const std::string& warning : warnings) {
        out.warnings.push_back(context.advice.complete(warning));
      }
    }
    auto notes =
        notes_on(tables, *planned, *wanted, dry, carbonio::is_carbonio(context.zextras_home));
    if (!notes) return tl::unexpected{notes.error()};
    written.notes = std::move(*notes);
    const auto daemon = database_of(arguments, context);
    if (const auto steps = parse_steps(wanted->front().then); steps && daemon) {
      for (std::string& note : step_notes(*steps, daemon->config)) {
        written.notes.push_back(std::move(note));
      }
    }
    if (!wanted->front().verdict && daemon && daemon->decays()) {
      written.notes.emplace_back(
          "with algorithm=decay, as in the Perl daemon, a limit that only monitors ends the check "
          "once it is used up: further mail is then counted and refused by no limit. With "
          "algorithm=window it is");
    }
    if (sql) {
      auto statements = typed(tables, planned->changes);
      if (!statements) return tl::unexpected{statements.error()};
      written.statements = std::move(*statements);
      // As comments, like all that is no statement.
      for (std::string& warning : out.warnings) written.lines.push_back("Warning: " + warning);
      out.warnings.clear();
    }
    out.rows = std::move(planned->changes);
    out.report = [written, sql, dry, may_refuse_wanted_mail, &context] {
      if (sql) return print_sql(written, context.output);
      print_written(written, may_refuse_wanted_mail, context);
      if (dry) context.output.line("Nothing was changed (--dry-run).");
    };
    return out;
  };
  return change_limits(arguments, context, dry, make);
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
    "[--login NAME...] [--group GROUP...] [--client NETWORK...]] [--from NETWORK...] [options]",
    "Limit what users of this server may send",
    "LIMIT is AMOUNT/PERIOD: 100/h, 10/60s, 2000/day, or a size with K, M or G: 50M/h. Several "
    "can be combined: 20/min,200/h. Each recipient counts, so a message to five counts five; with "
    "'100 messages/h' each message does, however many recipients it has. '200 distinct/day' counts "
    "different recipients, each until its last mail is that old. '50 recipients/message' and "
    "25M/message are about each message by itself.\n"
    "You can name several targets, also of different kinds; each gets a limit of its own. --from "
    "is no target but a condition: only mail from there counts. A limit with --from replaces none "
    "without it, so both apply, and it can only be stricter.\n"
    "--user is the sender address. --login is the account that sends, whatever the sender address "
    "it uses; it counts per account.\n"
    "Only mail that is authenticated or comes from this server's networks counts, so outsiders "
    "cannot use up a user's limit by forging the sender address. With --anyone all mail counts, "
    "also for the targets named with it. If there is a limit for anyone, give --anyone for targets "
    "with a limit of their own as well; otherwise mail from outside that forges their address is "
    "not limited at all.\n"
    "The command defines the whole limit: running it again with other figures replaces the limit, "
    "and options you omit return to their defaults (only the name stays). Among limits with the "
    "same --per, one for a user replaces those for the user's domain, groups and everyone; one "
    "for a domain or group replaces the one for everyone. All other limits add up; so do a number "
    "of messages and a size for the same target, given by separate commands.\n"
    "With --verdict none a limit only monitors. Such a limit stands beside those that refuse mail "
    "and never replaces one, so it is safe to try out figures with it.",
    "send 100/h\n"
    "send 20/min,200/h,1000/day --domain example.org\n"
    "send '50 recipients/message'\n"
    "send '200 distinct/day'\n"
    "send 25M/message --verdict reject\n"
    "send 5000/day --user newsletter@example.org\n"
    "send 10000/day --domain example.org --per domain\n"
    "send 500/h --client 192.0.2.10 --per client\n"
    "send 5000/day --user newsletter@example.org --from 192.0.2.10\n"
    "send 1/day --login carl@example.org --verdict reject\n"
    "send 100/h --except boss@example.org postmaster@example.org\n"
    "send 50/h --verdict none  # only monitors",
    limit_options(Direction::send),
    32,
    run_send};

const Command kReceive = {
    "receive",
    "LIMIT... [--everyone | --anyone | [--domain DOMAIN...] [--user ADDRESS...] "
    "[--group GROUP...] [--client NETWORK...]] [--from NETWORK...] [options]",
    "Limit what users of this server may receive",
    "LIMIT is AMOUNT/PERIOD: 125/min or 50M/h, '100 messages/h', '200 distinct/day', '50 "
    "recipients/message' or 25M/message, as of send. Several can be combined: 125/min,2000/h.\n"
    "You can name several targets, also of different kinds; each gets a limit of its own. --from "
    "is no target but a condition: only mail from there counts. A limit with --from replaces none "
    "without it, so both apply, and it can only be stricter.\n"
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
