// SPDX-License-Identifier: AGPL-3.0-only
// `explain`: how the daemon would answer for a message, and why.
#include "plugin/explain/explain.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/origin.hpp"
#include "plugin/answers/due_steps.hpp"
#include "plugin/cluster/shared_figures.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/explain/explain_json.hpp"
#include "plugin/explain/explain_text.hpp"
#include "plugin/rows/read_limits.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

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
  if (figures.alone()) notes.push_back(figures.alone_text());
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
  auto mail = mail_of(arguments);
  if (!mail) return tl::unexpected{mail.error()};
  const DaemonConfig daemon =
      find_daemon_config(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  for (std::string* address : {&mail->from, &mail->to}) {
    if (daemon.config.myorigin.empty() || !policyd::lacks_domain(*address)) continue;
    *address = policyd::address_form(policyd::with_domain(*address, daemon.config.myorigin));
  }
  auto database = open_as_owner(daemon);
  if (!database) return failed(database.error());
  SharedFigures figures{daemon};
  const policyd::TimePoint now = figures.now().value_or(context.now);
  auto explanation =
      explain(database->tables, daemon.config, *mail, now, figures.asking(), figures.alone());
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
    print_explanation(*mail, *explanation, context, now);
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
