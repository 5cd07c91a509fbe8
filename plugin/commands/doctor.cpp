// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: every problem, and the command that fixes it.
#include "plugin/doctor/examine.hpp"

#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>

#include "plugin/commands/commands.hpp"
#include "plugin/doctor/problems.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 2> kDoctorOptions = {{
    {"postfix-config", "DIR", "the folder with main.cf and master.cf of another Postfix"},
    {"json", "", "print JSON"},
}};

void print_fix(Output& output, const Fix& fix) {
  constexpr std::string_view kLabel = "    fix        ";
  const std::size_t room = room_beside(output, kLabel);
  const auto lines = fix.is_command ? wrapped_command(fix.text, room) : wrapped(fix.text, room);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    output.line({i == 0 ? std::string{kLabel} : std::string(kLabel.size(), ' '), Colour::dim},
                {lines[i], Colour::bold});
  }
}

void print_problem(const Finding& finding, Output& output) {
  print_wrapped(output, {"  PROBLEM      ", Colour::red}, {finding.what});
  print_wrapped(output, {"    why        ", Colour::dim}, {finding.why});
  print_fix(output, finding.fix);
}

void print_findings(const Findings& findings, Output& output) {
  // One that has all mail deferred comes before everything else.
  const auto is_first = [](const Finding& finding) {
    return finding.problem == problem::kAllMail.name;
  };
  for (const Finding& finding : findings.all()) {
    if (!is_first(finding)) continue;
    print_problem(finding, output);
    output.line("");
  }
  for (const Finding& finding : findings.all()) {
    if (finding.health == Health::well) {
      print_wrapped(output, {"  ok           ", Colour::green}, {finding.what});
    }
  }
  for (const Finding& finding : findings.all()) {
    if (finding.health == Health::not_checked) {
      print_wrapped(output, {"  not checked  ", Colour::dim}, {finding.what});
    }
  }
  for (const Finding& finding : findings.all()) {
    if (finding.health != Health::wrong || is_first(finding)) continue;
    output.line("");
    print_problem(finding, output);
  }
  output.line("");
  const std::size_t wrong = findings.count(Health::wrong);
  if (wrong == 0) {
    output.line({"No problems found", Colour::green},
                {fmt::format(" ({} OK).", counted(findings.count(Health::well), "check"))});
  } else {
    output.line({counted(wrong, "problem"), Colour::red}, {"."});
  }
}

nlohmann::json findings_json(const Findings& findings) {
  constexpr std::array kNames = {"ok", "wrong", "not checked"};
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings.all()) {
    nlohmann::json entry = {{"check", finding.check},
                            {"state", kNames.at(static_cast<std::size_t>(finding.health))},
                            {"what", finding.what}};
    if (finding.health == Health::wrong) {
      entry["why"] = finding.why;
      entry["problem"] = finding.problem;
      entry["fix"] = finding.fix.text;
      entry["command"] = finding.fix.is_command;
    }
    list.push_back(std::move(entry));
  }
  return {{"wrong", findings.count(Health::wrong)},
          {"not_checked", findings.count(Health::not_checked)},
          {"findings", list}};
}

Outcome run_doctor(const Arguments& arguments, Context& context) {
  DoctorQuestion question;
  question.zextras_home = context.zextras_home;
  question.daemon =
      find_daemon_config(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (const auto folder = arguments.value("postfix-config")) question.postfix_config = *folder;
  question.search_path = context.search_path;
  auto findings = examine(question);
  if (!findings) return failed(findings.error());
  findings->edit_fixes([&](const std::string& fix) { return context.advice.complete(fix); });
  if (arguments.has("json")) {
    context.output.print(findings_json(*findings));
  } else {
    auto lines = headlines(question.daemon, context.now);
    std::erase_if(lines, [](const Headline& line) {  // the first finding
      return line.kind == Headline::Kind::all_mail;
    });
    print_headlines(lines, context.advice, context.output);
    print_findings(*findings, context.output);
  }
  if (findings->count(Health::wrong) != 0) return found_wrong();
  return {};
}

}  // namespace

const Command kDoctor = {
    "doctor",
    "[--json]",
    "Find problems, and the commands that fix them",
    "Checks the database, the limits, the daemon, whether Postfix asks it, whether notices are "
    "sent, and whether several MTAs share their limits. For each problem it shows why it matters "
    "and how to fix it. Nothing is changed.\n"
    "Exit status 0: no problems found; 3: problems found. What cannot be checked on this host is "
    "listed, but is not a problem.",
    "doctor\n"
    "doctor --json",
    kDoctorOptions,
    0,
    run_doctor};

}  // namespace limits
