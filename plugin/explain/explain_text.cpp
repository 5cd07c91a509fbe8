// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/explain/explain_text.hpp"

#include <fmt/core.h>

#include <cmath>
#include <limits>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

constexpr std::size_t kBarWidth = 12;
constexpr std::size_t kMaxUnmatched = 20;  // policies in the table that do not match
constexpr double kNearlyFull = 80;

struct Conclusion {
  const char* word;
  Colour colour;
};

Conclusion conclude(const policyd::Verdict& verdict) {
  switch (verdict.action) {
    case policyd::Action::dunno:
    case policyd::Action::pass:
    case policyd::Action::prepend:
    case policyd::Action::ok:
      return {"PASSES", Colour::green};
    case policyd::Action::reject:
      return {"REFUSED", Colour::red};
    case policyd::Action::defer:
      return {"REFUSED FOR NOW", Colour::red};
    default:
      return {"DIVERTED", Colour::yellow};
  }
}

void print_field(Output& output, std::string label, std::string text,
                 Colour colour = Colour::none) {
  print_wrapped(output, {std::move(label), Colour::dim}, {std::move(text), colour});
}

void print_mail(Output& output, const Mail& mail) {
  print_field(output, "  from     ", mail.from.empty() ? "<> (a bounce)" : escaped(mail.from));
  print_field(output, "  to       ", escaped(mail.to));
  std::string client = mail.client.to_string();
  client +=
      mail.sasl ? fmt::format(", authenticated as {}", escaped(*mail.sasl)) : ", not authenticated";
  if (!mail.helo.empty()) client += fmt::format(", HELO {}", escaped(mail.helo));
  if (mail.size_bytes != 0) client += fmt::format(", {} bytes", mail.size_bytes);
  print_field(output, "  client   ", client);
}

void print_policies(Output& output, const Explanation& explanation) {
  Table table{{{"POLICY", true},
               {"NAME", false, Shrinks::first},
               {"MATCHES"},
               {"BECAUSE", false, Shrinks::last}}};
  std::size_t unmatched = 0;
  for (const ExplainedPolicy& policy : explanation.policies) {
    if (!policy.matches && ++unmatched > kMaxUnmatched) continue;
    const Colour colour = policy.matches ? Colour::green : Colour::dim;
    table.add({{fmt::format("{}", policy.id)},
               {escaped(policy.name)},
               {policy.matches ? "yes" : "no", colour},
               {escaped(policy.because), policy.matches ? Colour::none : Colour::dim}});
  }
  if (explanation.policies.empty()) {
    output.line("There are no policies.");
    return;
  }
  output.print(table);
  if (unmatched > kMaxUnmatched) {
    output.line(fmt::format("{} more policies do not match; --json shows all of them.",
                            unmatched - kMaxUnmatched));
  }
}

std::string amount(double value) {
  return fmt::format("{}", static_cast<std::int64_t>(std::floor(value)));
}

// `brief`: "in 3 h", without the minutes.
std::string free_text(const ExplainedLimit& limit, policyd::TimePoint now, bool brief) {
  if (limit.ended_by != 0) return "";
  if (!limit.full || limit.verdict == "none")
    return "now";  // WHEN FULL shows that it only monitors
  if (limit.free_at) return wait_text(limit.free_at, now, brief);
  return limit.module == "Accounting" ? fmt::format("next {}", limit.period) : "never";
}

// How to fit the table of limits to the width of the screen.
struct Layout {
  bool bars = false;
  bool brief = false;     // without the word messages, times in one unit
  bool cut_used = false;  // figures are cut, too, if nothing else helps
};

Table limits_table(const Explanation& explanation, policyd::TimePoint now, const Layout& layout) {
  std::vector<Column> columns = {{"POLICY", true}, {"ROW"}, {"COUNTED FOR", false, Shrinks::last}};
  const bool of_all = explanation.of_all;
  if (of_all) columns.push_back({"HERE", true});
  columns.push_back(
      {of_all ? "ALL MTAS" : "USED", true, layout.cut_used ? Shrinks::first : Shrinks::never});
  if (layout.bars) columns.push_back({""});
  columns.push_back({"WHEN FULL"});
  columns.push_back({"FREE"});
  Table table{columns};
  for (const ExplainedLimit& limit : explanation.limits) {
    const double percent = limit.limit > 0 ? 100.0 * limit.used / limit.limit : 100.0;
    const Colour colour = limit.ended_by != 0      ? Colour::dim
                          : limit.full             ? Colour::red
                          : percent >= kNearlyFull ? Colour::yellow
                                                   : Colour::green;
    std::vector<Cell> row = {
        {fmt::format("{}", limit.policy_id)},
        {fmt::format("{} {}", limit.module == "Quotas" ? "quota" : "accounting", limit.row_id)},
        {key_text(limit.track_key)}};
    if (of_all) row.push_back({limit.module == "Quotas" ? amount(limit.used_here) : "only"});
    row.push_back({fmt::format("{} of {} {}per {}", amount(limit.used), limit.limit,
                               layout.brief && limit.unit == "messages" ? "" : limit.unit + " ",
                               limit.period),
                   colour});
    if (layout.bars) row.push_back({bar(percent, kBarWidth), colour});
    row.push_back({limit.ended_by != 0       ? "not asked"
                   : limit.verdict == "none" ? "only monitored"
                                             : escaped(limit.verdict)});
    row.push_back({free_text(limit, now, layout.brief), limit.full ? colour : Colour::none});
    table.add(std::move(row));
  }
  return table;
}

void print_limits(Output& output, const Explanation& explanation, policyd::TimePoint now) {
  if (explanation.limits.empty()) return;
  const Style& style = output.style();
  const std::size_t room =
      style.terminal && style.width != 0 ? style.width : std::numeric_limits<std::size_t>::max();
  Table table = limits_table(explanation, now, {style.terminal, false, false});
  if (table.width() > room) table = limits_table(explanation, now, {false, true, false});
  if (table.min_width() > room) table = limits_table(explanation, now, {false, true, true});
  output.line("");
  output.print(table);
}

void print_modules(Output& output, const Explanation& explanation) {
  Table table{{{"MODULE"}, {"ANSWER"}, {"WHY", false, Shrinks::last}}};
  for (const ExplainedModule& module : explanation.modules) {
    if (!module.enabled) {
      table.add({{module.name, Colour::dim}, {"off", Colour::dim}, {"switched off", Colour::dim}});
    } else if (!module.asked) {
      table.add({{module.name, Colour::dim},
                 {"not asked", Colour::dim},
                 {fmt::format("{} decided", explanation.module), Colour::dim}});
    } else {
      const std::string word{policyd::name_of(module.verdict.action)};
      table.add({{module.name},
                 {module.final ? word + ", final" : word, conclude(module.verdict).colour},
                 {module.why}});
    }
  }
  output.line("");
  output.print(table);
}

// What clears the full counter; empty if it belongs to no single user.
std::string clearing_command(const Explanation& explanation) {
  if (!explanation.used_up || explanation.used_up->module != "Quotas") return {};
  if (explanation.used_up->of_each_message) return {};
  const std::string& key = explanation.used_up->track_key;
  if (key == kSharedKey) {
    return fmt::format("carbonio-limits reset --limit {}", explanation.used_up->row_id);
  }
  // A network's counter is shared by its users.
  if (policyd::IpAddress::parse(key_text(key))) return command_about("reset", key_text(key));
  const bool address = key.rfind("Sender:", 0) == 0 || key.rfind("Recipient:", 0) == 0;
  const std::string who = key.substr(key.find(':') + 1);
  if (!address || who == "<>" || !policyd::is_mail_address(who)) return {};
  return command_about("reset", escaped(who));
}

}  // namespace

void print_explanation(const Mail& mail, const Explanation& explanation, Context& context,
                       policyd::TimePoint now) {
  Output& output = context.output;
  const policyd::Verdict& verdict = final_verdict(explanation);
  const Conclusion conclusion = conclude(verdict);
  const bool at_end = &verdict != &explanation.verdict;
  const std::string why = at_end ? "it passes at RCPT, and is refused at the end of the message"
                                 : context.advice.complete(explanation.why);
  for (const std::string& warning : explanation.warnings) {
    print_wrapped(output, {"Warning: ", Colour::red}, {context.advice.complete(warning)});
  }
  if (explanation.pause) {
    output.line({"PASSES", Colour::green}, {});
    print_field(output, "  because  ", "limits are paused", Colour::bold);
    print_field(output, "  Postfix  ", "action=DUNNO");
    print_field(output, "  else     ",
                fmt::format("without the pause: {}: {}; {}", conclusion.word, why,
                            escaped(action_line(verdict))));
  } else {
    output.line({conclusion.word, conclusion.colour}, {});
    print_field(output, "  because  ", why, Colour::bold);
    print_field(output, "  Postfix  ", escaped(action_line(verdict)));
  }
  print_mail(output, mail);
  if (const std::string command = clearing_command(explanation); !command.empty()) {
    print_field(output, "  clear    ", context.advice.complete(command));
  }
  output.line("");
  print_policies(output, explanation);
  print_limits(output, explanation, now);
  print_modules(output, explanation);
  for (const std::string& note : explanation.notes) output.note(context.advice.complete(note));
}

}  // namespace limits
