// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/set_limit.hpp"

#include <fmt/core.h>

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

// A dry run does all of it too, but leaves out the commit.
Result<Written> write(const Tables& tables, const std::vector<WantedLimit>& all, bool dry) {
  ChangeSet changes{tables};
  if (auto begun = changes.begin(); !begun) return tl::unexpected{begun.error()};
  auto limits = read_limits(tables);
  if (!limits) return tl::unexpected{limits.error()};
  Written out;
  for (const WantedLimit& wanted : all) {
    auto result = apply_limit(changes, *limits, wanted);
    if (!result) return tl::unexpected{result.error()};
    for (std::string& line : report_change(describe(wanted), *result, dry)) {
      out.lines.push_back(std::move(line));
    }
    out.changed = out.changed || result->kind != ApplyResult::Kind::unchanged;
    if (auto gap = forgery_gap_note(*limits, result->limit.id, dry); !gap.empty()) {
      out.notes.push_back(std::move(gap));
    }
  }
  auto notes = example_groups(tables, all.front());
  if (!notes) return tl::unexpected{notes.error()};
  for (std::string& note : *notes) out.notes.push_back(std::move(note));
  auto foreign = foreign_domains(tables, all);
  if (!foreign) return tl::unexpected{foreign.error()};
  if (!foreign->empty()) out.notes.push_back(std::move(*foreign));
  out.statements = changes.typed();
  if (!dry) {
    if (auto done = changes.commit(); !done) return tl::unexpected{done.error()};
  }
  return out;
}

void print_sql(const Written& written, Output& output) {
  for (const std::string& line : written.lines) output.line("-- " + line);
  if (written.statements.empty()) return;
  output.line("BEGIN IMMEDIATE;");
  for (const std::string& statement : written.statements) output.line(statement);
  output.line("COMMIT;");
}

void print(const Written& written, bool may_refuse_wanted_mail, Context& context) {
  Output& output = context.output;
  for (const std::string& line : written.lines) output.line(line);
  if (written.changed && may_refuse_wanted_mail) {
    output.note(context.advice.complete(
        "a flood of mail to such an address uses up its limit, and then wanted mail is rejected "
        "too. Against floods Carbonio recommends Postscreen: carbonio-limits postscreen enable"));
  }
  for (const std::string& note : written.notes) output.note(context.advice.complete(note) + ".");
}

}  // namespace

Outcome set_limits(Direction direction, const Arguments& arguments, Context& context) {
  const auto wanted = wanted_limits(direction, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const bool sql = arguments.has("print-sql");
  const bool dry = sql || arguments.has("dry-run");
  const bool may_refuse_wanted_mail =
      direction == Direction::receive && wanted->front().verdict.has_value();
  return change_database(
      arguments, context,
      [&](const OpenDatabase& database, const DatabaseLocation&) -> Result<void> {
        const auto written = write(database.tables, *wanted, dry);
        if (!written) return tl::unexpected{written.error()};
        if (sql) {
          print_sql(*written, context.output);
          return {};
        }
        print(*written, may_refuse_wanted_mail, context);
        if (dry) context.output.line("Nothing was changed (--dry-run).");
        return {};
      });
}

}  // namespace limits
