// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/set_limit.hpp"

#include <fmt/core.h>

#include "plugin/database/database_file.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/forgery_gap.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/rows/example_groups.hpp"
#include "plugin/rows/limits.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct Written {
  std::vector<std::string> sentences;
  std::vector<std::string> notes;
  std::vector<std::string> statements;
  bool changed = false;
};

Result<Written> write(Changes& changes, const std::vector<WantedLimit>& all, bool dry) {
  if (auto begun = changes.begin(); !begun) return tl::unexpected{begun.error()};
  auto limits = read_limits(changes.tables());
  if (!limits) return tl::unexpected{limits.error()};
  Written out;
  for (const WantedLimit& wanted : all) {
    auto put = put_limit(changes, *limits, wanted);
    if (!put) return tl::unexpected{put.error()};
    for (std::string& sentence : say_put(say(wanted), *put, dry)) {
      out.sentences.push_back(std::move(sentence));
    }
    out.changed = out.changed || put->kind != Put::Kind::same;
    if (auto open = say_outside(*limits, put->limit.id, dry); !open.empty()) {
      out.notes.push_back(std::move(open));
    }
  }
  auto notes = example_groups(changes.tables(), all.front());
  if (!notes) return tl::unexpected{notes.error()};
  for (std::string& note : *notes) out.notes.push_back(std::move(note));
  auto foreign = foreign_domains(changes.tables(), all);
  if (!foreign) return tl::unexpected{foreign.error()};
  if (!foreign->empty()) out.notes.push_back(std::move(*foreign));
  out.statements = changes.typed();
  if (!dry) {
    if (auto done = changes.commit(); !done) return tl::unexpected{done.error()};
  }
  return out;
}

void print_sql(const Written& written, Output& output) {
  for (const std::string& sentence : written.sentences) output.line("-- " + sentence);
  if (written.statements.empty()) return;
  output.line("BEGIN IMMEDIATE;");
  for (const std::string& statement : written.statements) output.line(statement);
  output.line("COMMIT;");
}

}  // namespace

Outcome set_limits(Direction direction, const Arguments& arguments, Context& context) {
  const auto wanted = wanted_limits(direction, arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  const bool sql = arguments.has("print-sql");
  const bool dry = sql || arguments.has("dry-run");

  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  // Tried by doing it: without the commit it is undone.
  const auto written = [&] {
    Changes changes{database->tables};
    return write(changes, *wanted, dry);
  }();
  if (!written) {
    return failed(fmt::format("database {}: {}; nothing was changed", place->file.string(),
                              written.error().message));
  }

  Output& output = context.output;
  if (sql) {
    print_sql(*written, output);
    return {};
  }
  for (const std::string& sentence : written->sentences) output.line(sentence);
  if (written->changed && direction == Direction::receive && wanted->front().verdict) {
    output.note(context.advice.complete(
        "a flood of mail to such an address uses up its limit, and then wanted mail is rejected "
        "too. Against floods Carbonio recommends Postscreen: carbonio-limits postscreen enable"));
  }
  for (const std::string& note : written->notes) output.note(context.advice.complete(note) + ".");
  if (dry) output.line("Nothing was changed (--dry-run).");
  return {};
}

}  // namespace limits
