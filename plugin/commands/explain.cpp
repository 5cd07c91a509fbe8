// SPDX-License-Identifier: AGPL-3.0-only
// `explain`: how the daemon would answer for a message, and why.
#include "plugin/explain/explain.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/names/name_form.hpp"
#include "plugin/answers/due_steps.hpp"
#include "plugin/cluster/shared_figures.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/explain/explain_json.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/usage_report.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 7> kExplainOptions = {{
    {"from", "ADDRESS", "the sender; '<>' for a bounce"},
    {"to", "ADDRESS", "the recipient"},
    {"client", "IP", "the client that sends it to Postfix (default: 127.0.0.1)"},
    {"sasl", "NAME", "the login name, if authenticated"},
    {"helo", "NAME", "the HELO name of the client"},
    {"size", "BYTES", "the size of the message; also 500K, 20M"},
    {"json", "", "print JSON"},
}};

constexpr std::size_t kBarWidth = 12;
constexpr std::size_t kMaxUnmatched = 20;  // policies in the table that do not match
constexpr double kNearlyFull = 80;

tl::expected<std::string, Failure> address_of(const Arguments& arguments, const char* option) {
  const auto text = arguments.value(option);
  if (!text) {
    return wrong_use(fmt::format("--{} is missing; see 'carbonio-limits explain --help'", option));
  }
  std::string address = policyd::address_form(*text);
  const bool bounce = std::string_view{option} == "from" && (address == "<>" || address.empty());
  if (bounce) return std::string{};
  if (!policyd::is_mail_address(address) || address == "<>" || !policyd::is_printable(address)) {
    return wrong_use(
        fmt::format("--{0}: not a valid mail address: '{1}'; use --{0} user@example.org", option,
                    shown(*text)));
  }
  return address;
}

tl::expected<std::uint64_t, Failure> size_of(const Arguments& arguments) {
  const std::string text = arguments.value("size").value_or("0");
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit =
      upper_cased(std::string_view{end, static_cast<std::size_t>(text.data() + text.size() - end)});
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  constexpr std::uint64_t kMax = std::uint64_t{1} << 20;  // GiB
  if (code != std::errc{} || shift < 0 || number > (kMax << 30 >> shift)) {
    return wrong_use(
        fmt::format("--size: not a valid size: '{}'; use bytes, or 500K, 20M", shown(text)));
  }
  return number << shift;
}

tl::expected<Mail, Failure> mail_of(const Arguments& arguments) {
  Mail mail;
  auto from = address_of(arguments, "from");
  if (!from) return tl::unexpected{from.error()};
  auto to = address_of(arguments, "to");
  if (!to) return tl::unexpected{to.error()};
  const auto size = size_of(arguments);
  if (!size) return tl::unexpected{size.error()};
  const std::string client = arguments.value("client").value_or("127.0.0.1");
  const auto address = policyd::IpAddress::parse(client);
  if (!address) {
    return wrong_use(fmt::format("--client: not a valid IP address: '{}'; use --client 192.0.2.1",
                                 shown(client)));
  }
  mail.from = std::move(*from);
  mail.to = std::move(*to);
  mail.client = *address;
  if (const auto sasl = arguments.value("sasl")) mail.sasl = policyd::login_form(*sasl);
  mail.helo = arguments.value("helo").value_or("");
  mail.size_bytes = *size;
  for (const std::string& text : {mail.sasl.value_or(""), mail.helo}) {
    if (!policyd::is_printable(text)) {
      return wrong_use(fmt::format("'{}' contains control characters", shown(text)));
    }
  }
  return mail;
}

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
    row.push_back({fmt::format("{} of {} {}per {}", amount(limit.used), amount(limit.limit),
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

// The argument for `reset` that clears the full counter; empty if it belongs to no single user.
std::string reset_argument(const Explanation& explanation) {
  if (!explanation.used_up || explanation.used_up->module != "Quotas") return {};
  const std::string& key = explanation.used_up->track_key;
  if (key == kSharedKey) return fmt::format("--limit {}", explanation.used_up->row_id);
  // A network's counter is shared by its users.
  if (policyd::IpAddress::parse(key_text(key))) return key_text(key);
  const bool address = key.rfind("Sender:", 0) == 0 || key.rfind("Recipient:", 0) == 0;
  const std::string who = key.substr(key.find(':') + 1);
  return address && who != "<>" && policyd::is_mail_address(who) ? escaped(who) : std::string{};
}

// `now`: by the clock by which counters count.
void print_text(const Mail& mail, const Explanation& explanation, Context& context,
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
  if (const std::string who = reset_argument(explanation); !who.empty()) {
    print_field(output, "  clear    ", context.advice.complete("carbonio-limits reset " + who));
  }
  output.line("");
  print_policies(output, explanation);
  print_limits(output, explanation, now);
  print_modules(output, explanation);
  for (const std::string& note : explanation.notes) output.note(context.advice.complete(note));
}

void add_notes(Explanation& explanation, const Arguments& arguments, const DaemonConfig& daemon,
               const Mail& mail, const SharedFigures& figures) {
  std::vector<std::string>& notes = explanation.notes;
  if (!arguments.has("client") && !mail.sasl) {
    notes.emplace_back(
        "assumes mail from this server itself (127.0.0.1), not authenticated. Add --sasl NAME for "
        "a user's mail, --client IP for mail from outside.");
  }
  if (!daemon.read) {
    notes.push_back(fmt::format("assumes that only Quotas is switched on, since {} cannot be read.",
                                daemon.file.string()));
  }
  if (daemon.config.check_helo && mail.helo.empty()) {
    notes.emplace_back("without --helo, CheckHelo does not apply.");
  }
  if (const auto trouble = read_news(daemon).trouble_text()) {
    notes.push_back(*trouble + "; its answers may differ from these.");
  }
  if (figures.configured() && !explanation.of_all) {
    notes.push_back(
        fmt::format("decides by what this host has counted alone, since the other MTAs' counts are "
                    "not known: {}",
                    escaped(figures.trouble())));
  }
}

// `list` knows a limit by its first row.
Result<void> note_other_rows(Explanation& explanation, const Tables& tables) {
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  std::set<std::int64_t> done;
  for (const ExplainedLimit& limit : explanation.limits) {
    if (limit.module != "Quotas" || !done.insert(limit.row_id).second) continue;
    if (limit.track_key == kSharedKey) {
      explanation.notes.push_back(fmt::format(
          "quota {} has one counter for everybody in it; 'carbonio-limits usage --limit {}' shows "
          "it.",
          limit.row_id, limit.row_id));
    }
    const StoredLimit* listed = find_limit(*all, limit.row_id);
    if (listed != nullptr && !listed->then().empty()) {
      explanation.notes.push_back(
          fmt::format("quota {}: after refusing a sender for long: {} ('carbonio-limits answer').",
                      limit.row_id, escaped(listed->then())));
    }
    if (listed == nullptr || listed->id == limit.row_id) continue;
    explanation.notes.push_back(fmt::format(
        "quota {} belongs to limit {} of 'carbonio-limits list'.", limit.row_id, listed->id));
  }
  return {};
}

// Those that limits and signals have taken by themselves about who sends it, in the last day.
Result<void> note_steps(Explanation& explanation, const Tables& tables, const Mail& mail,
                        policyd::TimePoint now) {
  constexpr std::size_t kMaxSteps = 5;
  EventFilter filter;
  filter.kinds = {policyd::EventKind::locked, policyd::EventKind::suspect};
  filter.since = now - kStepsWithin;
  std::size_t steps = 0;
  return each_event(tables, filter, [&](StoredEvent&& stored) {
    const policyd::Event& event = stored.event;
    const std::string name = name_of_counter(event.track_key);
    const bool is_sender = name == mail.sasl.value_or(mail.from) || name == mail.from ||
                           name == mail.client.to_short_string();
    if (event.verdict.empty() || name.empty() || !is_sender) return true;
    explanation.notes.push_back(
        fmt::format("{} {} about {}: {} ({}); 'carbonio-limits answer' shows such steps.",
                    local_time_text(event.last), escaped(event.verdict), escaped(name),
                    escaped(event.detail), escaped(event.who)));
    return ++steps < kMaxSteps;
  });
}

Outcome run_explain(const Arguments& arguments, Context& context) {
  const auto mail = mail_of(arguments);
  if (!mail) return tl::unexpected{mail.error()};
  const DaemonConfig daemon =
      find_daemon_config(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  auto database = open_as_owner(daemon);
  if (!database) return failed(database.error());
  SharedFigures figures{daemon};
  const policyd::TimePoint now = figures.now().value_or(context.now);
  auto explanation = explain(database->tables, daemon.config, *mail, now, figures.asking());
  if (!explanation) {
    return failed(fmt::format("database {}: {}", daemon.config.database.string(),
                              explanation.error().message));
  }
  if (auto noted = note_other_rows(*explanation, database->tables); !noted) {
    return failed(
        fmt::format("database {}: {}", daemon.config.database.string(), noted.error().message));
  }
  if (auto noted = note_steps(*explanation, database->tables, *mail, context.now); !noted) {
    return failed(
        fmt::format("database {}: {}", daemon.config.database.string(), noted.error().message));
  }
  add_notes(*explanation, arguments, daemon, *mail, figures);
  explanation->warnings = texts_of(headlines(daemon, context.now));
  if (!explanation->blocked) explanation->pause = pause_in_force(daemon, context.now);
  if (arguments.has("json")) {
    context.output.print(json_of(*mail, *explanation));
  } else {
    print_text(*mail, *explanation, context, now);
  }
  return {};
}

}  // namespace

const Command kExplain = {
    "explain",
    "--from ADDRESS --to ADDRESS [options]",
    "Show what would happen to a message, and why",
    "The message need not exist, and nothing is counted: the daemon's own code decides for one "
    "recipient, based on the current database. It shows each policy with the item that made it "
    "match or not, each limit with its usage (in a cluster here and on all MTAs), each module's "
    "answer and the answer to Postfix.\n"
    "A user's mail is authenticated: use --sasl, or the message counts as mail from this server.",
    "explain --from alice@example.org --to bob@example.com --sasl alice@example.org\n"
    "explain --from spam@example.net --to alice@example.org --client 192.0.2.1 --helo "
    "mx.example.net",
    kExplainOptions,
    0,
    run_explain};

}  // namespace limits
