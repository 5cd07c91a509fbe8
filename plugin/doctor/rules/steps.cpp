// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: steps and signals that were typed by hand and cannot be read, and whether something
// takes those that are set. Nothing where there are none.
#include "plugin/limit/steps.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string>

#include "daemon/base/clock.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "hooks/service/service.hpp"
#include "plugin/answers/answer_run.hpp"
#include "plugin/answers/bounces.hpp"
#include "plugin/answers/countries.hpp"
#include "plugin/answers/signals.hpp"
#include "plugin/block/block_settings.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/doctor/problems.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

Result<void> check_comments(const RuleRows& rows, Findings& findings) {
  return rows.tables.each(
      "SELECT ID, Comment FROM {p}quotas WHERE Comment LIKE 'then=%' ORDER BY ID", {},
      [&](const Statement& row) {
        const std::string comment{row.text(1)};
        const auto steps = parse_steps(steps_in(comment));
        if (steps) return;
        findings.wrong(
            problem::kStepsInvalid,
            fmt::format("Comment of quota {} names steps that cannot be read: {}", row.integer(0),
                        steps.error().message),
            "no step is taken when it refuses someone for long",
            rows.sql({fmt::format("UPDATE {} SET Comment = {} WHERE ID = {}", rows.table("quotas"),
                                  sql_literal(with_steps(comment, "notify")), row.integer(0))}));
      });
}

Result<void> check_signals(const RuleRows& rows, Findings& findings) {
  return rows.tables.each(
      fmt::format("SELECT ID, Name FROM {} ORDER BY ID", kSignalPolicies), {},
      [&](const Statement& row) {
        if (parse_signal(row.text(1))) return;
        findings.wrong(problem::kSignalInvalid,
                       fmt::format("policy {} is named like a signal but cannot be read: {}",
                                   row.integer(0), escaped(row.text(1))),
                       "no one stands out by it; 'carbonio-limits signal' sets signals",
                       rows.sql({fmt::format("DELETE FROM {} WHERE PolicyID = {}",
                                             rows.table("access_control"), row.integer(0)),
                                 fmt::format("DELETE FROM {} WHERE ID = {}", rows.table("policies"),
                                             row.integer(0))}));
      });
}

bool is_set(const RuleRows& rows, Signal::Kind kind) {
  const auto signals = read_signals(rows.tables);
  return signals && std::any_of(signals->begin(), signals->end(),
                                [&](const StoredSignal& each) { return each.signal.kind == kind; });
}

void check_countries(const RuleRows& rows, Findings& findings) {
  if (!is_set(rows, Signal::Kind::countries)) return;
  const auto settings = read_block_settings(policyd::own_config_of(rows.question.daemon.file));
  if (!settings) return;
  const auto countries = open_countries(*settings);
  if (countries) {
    findings.well("answers.countries", "signal countries has its file");
    return;
  }
  findings.wrong(problem::kCountriesUnread,
                 fmt::format("signal countries cannot be counted: {}", countries.error().message),
                 "no one stands out by the countries that their mail comes from",
                 advice("name a file of countries in MaxMind's format, such as "
                        "GeoLite2-Country.mmdb, that the daemon's user may read, with "
                        "countries=FILE in section [block] of carbonio-limits.conf"));
}

// Whether the last run for signal `bounces` could read the mail log.
void check_mail_log(const RuleRows& rows, Findings& findings) {
  if (!is_set(rows, Signal::Kind::bounces)) return;
  const auto state = read_bounce_state(bounce_state_file(rows.question.zextras_home));
  if (!state) return;  // nothing has run yet
  if (state->problem.empty()) {
    findings.well("answers.mail_log", "signal bounces reads the mail log");
    return;
  }
  findings.wrong(
      problem::kMailLogUnread, fmt::format("signal bounces cannot be counted: {}", state->problem),
      "no one stands out by recipients that do not exist or mail that bounces",
      advice("let the daemon's user read it (usually by the group adm), or name another one "
             "with mail_log=FILE in section [block] of carbonio-limits.conf; the next "
             "'carbonio-limits answer --due', which is due each minute, reads it"));
}

bool has_steps(const RuleRows& rows) {
  const auto signals = read_signals(rows.tables);
  return (signals && !signals->empty()) ||
         std::any_of(rows.all.limits.begin(), rows.all.limits.end(),
                     [](const StoredLimit& limit) { return !limit.then().empty(); });
}

}  // namespace

void check_steps(const RuleRows& rows, Findings& findings) {
  if (!check_comments(rows, findings) || !check_signals(rows, findings)) return;
  if (!has_steps(rows)) return;
  check_mail_log(rows, findings);
  check_countries(rows, findings);
  const auto last = last_answer_run(rows.question.zextras_home);
  if (last && policyd::wall_clock() - *last <= kAnswersWithin) {
    findings.well("answers.run", "the steps of limits and signals are taken when they are due");
    return;
  }
  const bool timer = !carbonio::systemctl_knowing(kAnswerTimer, rows.question.zextras_home).empty();
  findings.wrong(
      problem::kAnswersStalled,
      last ? fmt::format("nothing has run 'carbonio-limits answer --due' since {}",
                         local_time_text(*last))
           : std::string{"nothing has run 'carbonio-limits answer --due'"},
      "no step of a limit (--then) or signal is taken, so no account is stopped by itself",
      timer ? advice(fmt::format(
                  "start the timer: systemctl start {}; if it is active, this shows why its "
                  "service fails: systemctl status carbonio-limits-answer.service",
                  kAnswerTimer))
            : advice("have cron run this each minute: carbonio-limits answer --due"));
}

}  // namespace limits
