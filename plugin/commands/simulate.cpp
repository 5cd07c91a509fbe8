// SPDX-License-Identifier: AGPL-3.0-only
// `simulate`: whom limits would have hit on the mail of the past days.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hooks/service/service.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/import_file.hpp"
#include "plugin/commands/load_past_mail.hpp"
#include "plugin/commands/output_file.hpp"
#include "plugin/commands/top_option.hpp"
#include "plugin/limit_text/limit_options.hpp"
#include "plugin/simulate/picture.hpp"
#include "plugin/simulate/simulate_text.hpp"
#include "plugin/terminal/progress.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 10> kOwnOptions = {{
    {"current", "", "try all limits that are in force, together"},
    {"against", "FILE.txt", "try the limits of a file that 'export' wrote, and no others"},
    kPastSinceOption,
    {"top", "N", "show N lines of the table (default: 20, or all with --json or --csv)"},
    {"mails", "", "list each mail that would have been refused"},
    {"json", "", "print JSON"},
    {"csv", "", "print the table as comma-separated values"},
    {"svg", "FILE",
     "write a picture: all peaks against the limit, and the hours of one account; '-': to standard "
     "output, with --json as its field svg"},
    {"html", "FILE", "write a page with the picture and the table; '-': to standard output"},
    {"hours", "NAME", "whose hours the picture shows (default: the one hit most)"},
}};

// Those of `send` that make no difference to whom a limit hits.
constexpr std::array<std::string_view, 6> kOfNoEffect = {"off",  "dry-run", "print-sql",
                                                         "name", "message", "then"};
constexpr std::string_view kStandardOutput = "-";  // of --svg and --html

bool has_effect(const Option& option) {
  return std::find(kOfNoEffect.begin(), kOfNoEffect.end(), option.name) == kOfNoEffect.end();
}

std::vector<Option> simulate_options() {
  std::vector<Option> out;
  const auto of_send = limit_options(Direction::send);
  out.reserve(of_send.size() + kOwnOptions.size());
  std::copy_if(of_send.begin(), of_send.end(), std::back_inserter(out), has_effect);
  out.insert(out.end(), kOwnOptions.begin(), kOwnOptions.end());
  return out;
}

const std::vector<Option> kSimulateOptions = simulate_options();

struct SimulateQuestion {
  std::vector<WantedLimit> wanted;    // of `send` or `receive`
  std::optional<NewFigures> figures;  // of `set`; neither: --current or --against
  std::optional<std::string> against;
  std::vector<std::string> files;
  std::size_t top = 0;
};

// The words and options of `send`, `receive` or `set`, without those that name files of the log.
struct LimitWords {
  Direction direction = Direction::send;
  bool set = false;
  Arguments arguments;
  bool any_option = false;
};

LimitWords limit_words(const Arguments& arguments, bool may_name_files,
                       std::vector<std::string>& files) {
  LimitWords out;
  bool first = true;
  for (const std::string& word : arguments.words()) {
    const bool verb = first && (word == "send" || word == "receive" || word == "set");
    first = false;
    if (verb) {
      if (word == "receive") out.direction = Direction::receive;
      out.set = word == "set";
    } else if (may_name_files && is_file_word(word)) {
      files.push_back(word);
    } else {
      out.arguments.add_word(word);
    }
  }
  for (const Option& option : limit_options(Direction::send)) {
    const std::string name{option.name};
    if (!arguments.has(name)) continue;
    out.any_option = true;
    std::vector<std::string> values;
    for (std::string& value : arguments.values(name)) {
      const bool file = may_name_files && option.several &&
                        (value == "-" || value.starts_with('/') || value.starts_with("./") ||
                         value.starts_with("../"));
      (file ? files : values).push_back(std::move(value));
    }
    out.arguments.add(name, std::move(values));
  }
  return out;
}

tl::expected<SimulateQuestion, Failure> simulation_of(const Arguments& arguments,
                                                      const Context& context) {
  SimulateQuestion out;
  const LimitWords limit = limit_words(arguments, context.may_name_files, out.files);
  const bool named = limit.set || limit.any_option || !limit.arguments.words().empty();
  const bool current = arguments.has("current");
  out.against = arguments.value("against");
  if (static_cast<int>(named) + static_cast<int>(current) +
          static_cast<int>(out.against.has_value()) >
      1) {
    return wrong_use("give a limit, --current or --against, only one of them");
  }
  if (arguments.has("json") && arguments.has("csv")) {
    return wrong_use("--json and --csv cannot be combined");
  }
  const bool svg = arguments.value("svg") == kStandardOutput;
  const bool html = arguments.value("html") == kStandardOutput;
  if (arguments.has("csv") && svg) {
    return wrong_use("--csv and --svg - cannot be combined: both are standard output");
  }
  if (html && (svg || arguments.has("csv") || arguments.has("json"))) {
    return wrong_use(fmt::format("--{} and --html - cannot be combined: both are standard output",
                                 svg                    ? "svg -"
                                 : arguments.has("csv") ? "csv"
                                                        : "json"));
  }
  if (arguments.has("mails") && arguments.has("csv")) {
    return wrong_use("--mails and --csv cannot be combined; --json lists mails, too");
  }
  if (arguments.has("hours") && !arguments.has("svg") && !arguments.has("html")) {
    return wrong_use("--hours is for a picture: --svg FILE or --html FILE");
  }
  const auto top = top_of(arguments);
  if (!top) return tl::unexpected{top.error()};
  constexpr std::size_t kFew = 20;
  constexpr std::size_t kEach = std::numeric_limits<std::size_t>::max();
  out.top = top->value_or(arguments.has("json") || arguments.has("csv") ? kEach : kFew);
  if (current || out.against) return out;
  if (!named) {
    return wrong_use(
        "the limit is missing; examples: carbonio-limits simulate 100/h, or simulate --current");
  }
  if (limit.set) {
    if (limit.any_option) {
      return wrong_use("after 'set' the limit keeps its target and --per; give its ID and figures");
    }
    auto figures = parse_new_figures(limit.arguments.words());
    if (!figures) return tl::unexpected{figures.error()};
    out.figures = std::move(*figures);
    return out;
  }
  if (limit.direction == Direction::receive && arguments.has("login")) {
    return wrong_use("--login is an account that sends, so it can only be used with 'send'");
  }
  auto wanted = wanted_limits(limit.direction, limit.arguments);
  if (!wanted) return tl::unexpected{wanted.error()};
  out.wanted = std::move(*wanted);
  return out;
}

// Limits of the copy that can refuse or at least count.
Result<std::vector<StoredLimit>> limits_in_force(const RulesCopy& copy) {
  auto all = read_limits(copy.tables());
  if (!all) return tl::unexpected{all.error()};
  std::vector<StoredLimit> out;
  std::copy_if(all->limits.begin(), all->limits.end(), std::back_inserter(out),
               [](const StoredLimit& limit) { return limit.enabled() || limit.partly_enabled(); });
  return out;
}

// What else is in force or is not, of which the table has no line.
std::vector<std::string> notes_on_rest(const RulesCopy& copy, const policyd::Config& config) {
  std::vector<std::string> out;
  if (!config.quotas) {
    out.emplace_back("the module Quotas is switched off, so none of these limits is in force");
  }
  const auto rows = policyd::sql::first_integer(
      copy.tables().db,
      "SELECT count(*) FROM accounting JOIN policies ON policies.ID = accounting.PolicyID "
      "WHERE accounting.Disabled = 0 AND policies.Disabled = 0");
  if (config.accounting && rows && *rows > 0) {
    const auto number = static_cast<std::size_t>(*rows);
    out.push_back(fmt::format("{} of the module Accounting {} not tried", counted(number, "row"),
                              of_number(number, "was", "were")));
  }
  return out;
}

// The limits as a command would make them, with the exceptions that they would have, and no others.
Result<std::vector<StoredLimit>> put_alone(RulesCopy& copy, const SimulateQuestion& question) {
  auto plan = copy.plan();
  if (!plan) return tl::unexpected{plan.error()};
  for (const WantedLimit& limit : question.wanted) {
    if (auto put = plan->put(limit); !put) return tl::unexpected{put.error()};
  }
  if (question.figures) {
    const auto id = existing_limit(plan->before(), question.figures->id);
    if (!id) return tl::unexpected{id.error()};
    plan->set_rates(*id, question.figures->rates);
    plan->switch_limit(*id, true);
  }
  const auto planned = plan->finish();
  if (!planned) return tl::unexpected{planned.error()};
  if (auto done = copy.run(planned->changes); !done) return tl::unexpected{done.error()};
  const auto all = read_limits(copy.tables());
  if (!all) return tl::unexpected{all.error()};
  std::vector<StoredLimit> out;
  for (const ApplyResult& result : planned->results) {
    const StoredLimit* limit = find_limit(*all, result.limit.id);
    const bool known = std::any_of(out.begin(), out.end(), [&](const StoredLimit& each) {
      return each.id == result.limit.id;
    });
    if (limit != nullptr && !known) out.push_back(*limit);
  }
  if (auto done = copy.only(out); !done) return tl::unexpected{done.error()};
  if (auto done = copy.let_refuse(out); !done) return tl::unexpected{done.error()};
  return out;
}

Result<std::vector<StoredLimit>> put_file(RulesCopy& copy, const LimitFile& file, bool carbonio) {
  auto plan = copy.plan();
  if (!plan) return tl::unexpected{plan.error()};
  Difference ignored;
  auto change = apply_file(std::move(*plan), copy.tables(), file, true, true, carbonio, ignored);
  if (!change) return tl::unexpected{change.error()};
  if (auto done = copy.run(change->rows); !done) return tl::unexpected{done.error()};
  return limits_in_force(copy);
}

tl::expected<std::optional<OutputFile>, Failure> picture_of(const Arguments& arguments,
                                                            const std::string& option) {
  const auto name = arguments.value(option);
  if (!name || *name == kStandardOutput) return std::nullopt;
  auto file = OutputFile::open(*name);
  if (!file) return tl::unexpected{file.error()};
  return std::move(*file);
}

Outcome print_view(const SimulateView& view, const Arguments& arguments, std::string_view whose,
                   Context& context) {
  const bool picture = arguments.value("svg") == kStandardOutput;
  if (arguments.has("json")) {
    nlohmann::json json = json_of(view);
    if (picture) json["svg"] = svg_picture(view, whose);
    context.output.print(json);
  } else if (picture) {
    context.output.text(svg_picture(view, whose));
  } else if (arguments.value("html") == kStandardOutput) {
    context.output.text(html_page(view, whose));
  } else if (arguments.has("csv")) {
    print_csv(view, context.output);
  } else {
    print_simulation(view, context.output);
  }
  return {};
}

Outcome run_simulate(const Arguments& arguments, Context& context) {
  const auto question = simulation_of(arguments, context);
  if (!question) return tl::unexpected{question.error()};
  std::optional<LimitFile> file;
  if (question->against) {
    const auto text = read_limit_input(*question->against, context);
    if (!text) return tl::unexpected{text.error()};
    auto parsed = parse_limit_file(*text);
    if (!parsed) {
      return failed(fmt::format("{}: {}", shown(*question->against), parsed.error().message));
    }
    file = std::move(*parsed);
  }
  auto svg = picture_of(arguments, "svg");
  if (!svg) return tl::unexpected{svg.error()};
  auto html = picture_of(arguments, "html");
  if (!html) return tl::unexpected{html.error()};
  auto loaded = load_past_mail(arguments, question->files, context);
  if (!loaded) return tl::unexpected{loaded.error()};
  const auto of_database = [&](const policyd::Error& error) {
    return failed(
        fmt::format("database {}: {}", loaded->daemon.config.database.string(), error.message));
  };
  auto copy = RulesCopy::of(loaded->database.tables);
  if (!copy) return of_database(copy.error());
  const bool alone = question->figures || !question->wanted.empty();
  const auto limits = alone  ? put_alone(*copy, *question)
                      : file ? put_file(*copy, *file, carbonio::is_carbonio(context.zextras_home))
                             : limits_in_force(*copy);
  if (!limits) return of_database(limits.error());
  if (limits->empty()) return failed("there is no limit to try");
  const auto rules = copy->rules();
  if (!rules) return of_database(rules.error());
  PastMail& mail = loaded->mail;
  if (auto note = note_on_watching(*limits, alone)) mail.notes.push_back(std::move(*note));
  if (question->wanted.empty()) {
    for (std::string& note : notes_on_rest(*copy, loaded->daemon.config)) {
      mail.notes.push_back(std::move(note));
    }
  }
  Replay played;
  {
    Progress progress{"Trying the limit"};
    ReplayWish wish;
    wish.quarters = arguments.has("svg") || arguments.has("html");
    played = replay(mail.mails, *rules, loaded->daemon.config, wish, [&](std::uint64_t done) {
      progress.show(done, mail.mails.all.size());
      return !context.is_given_up();
    });
  }
  if (context.is_given_up())
    return failed("the mail was not tried to its end: no one waits for it");
  const TriedLimits tried = tried_limits(played, *limits);
  const SimulateView view{mail,    mail.mails,  played,        tried,
                          *limits, context.now, question->top, arguments.has("mails")};
  const std::string whose = arguments.value("hours").value_or("");
  if (!whose.empty() && !has_account(view, whose)) {
    return wrong_use(fmt::format("--hours: nothing was counted for '{}'; names are as in the table",
                                 shown(whose)));
  }
  if (*svg) {
    if (auto done = (*svg)->write(svg_picture(view, whose)); !done) return done;
  }
  if (*html) {
    if (auto done = (*html)->write(html_page(view, whose)); !done) return done;
  }
  return print_view(view, arguments, whose, context);
}

}  // namespace

const Command kSimulate = {
    "simulate",
    "[send | receive] LIMIT... [who] [--per WHAT] | set ID LIMIT... | --current | --against "
    "FILE.txt [options] [FILE...]",
    "Show whom a limit would have hit on the mail of the past days",
    "Reads the mail log (/var/log/carbonio.log and its rotated parts, or the FILEs; '-' is "
    "standard input), plain or compressed by gzip, xz or zstd, and plays its mail to the daemon's "
    "own code "
    "with the limit: whom it would have hit, when first, how often, and what each one's peak was "
    "within a period, or of a limit per message the largest message. Nothing is changed. Limit and "
    "options are those of 'send', or of 'receive' "
    "after that word; after 'set' those of 'set'. The limit is tried alone, with the exceptions "
    "that limits for others make.\n"
    "Mail that limits refused in those days is included, as if it had been wanted; a try with the "
    "same sender, "
    "recipient and login or client a minute to four hours later is taken for the same mail. Mail "
    "that a content filter hands back counts once, and so does mail that two files have. Of mail "
    "that would have been deferred, other "
    "mail servers are assumed to try again as Postfix does, so it comes late; mail of own users is "
    "not tried again, since their program says at once that it was not sent.\n"
    "Without a mail log it reads the table session_tracking. Only the module Quotas is tried, and "
    "no blocks.",
    "simulate 100/h\n"
    "simulate 200/h --per account --since 30day\n"
    "simulate receive 125/min --per domain mail.log*\n"
    "simulate 20/min,200/h --html page.html\n"
    "simulate set 3 200/h\n"
    "simulate --current --mails",
    kSimulateOptions,
    32 + OpenLog::kMaxFiles,
    run_simulate,
    Takes::file,
    "send receive"};

}  // namespace limits
