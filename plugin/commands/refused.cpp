// SPDX-License-Identifier: AGPL-3.0-only
// `refused`: whose mail was refused, since when, how often and by what.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "plugin/block/whom.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/top_option.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/refusals.hpp"
#include "plugin/events/refusals_by_hour.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/screen.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/daemon_news.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

using policyd::EventKind;

constexpr std::array<Option, 8> kRefusedOptions = {{
    {"today", "", "only since midnight"},
    {"since", "TIME", "only since then: 09:00, yesterday, 2026-11-25, '2026-11-25 09:00' or 2h"},
    {"limit", "ID", "only by this limit"},
    {"watched", "",
     "show what limits with verdict none would have refused, and what a pause let through"},
    {"by-hour", "", "count refusals by hour and by limit, and by whom, instead of listing them"},
    {"top", "N",
     "show only the N latest (default: 20, or all with --json), or with --by-hour the N most often "
     "refused (default: 10)"},
    {"json", "", "print JSON"},
    {"follow", "", "print further refusals as they happen, until Ctrl-C"},
}};

constexpr std::size_t kShownByDefault = 20;
constexpr std::size_t kShownFirst = 10;  // with --follow
constexpr std::size_t kTopByHour = 10;
constexpr std::chrono::seconds kPollEvery{1};

struct RefusedQuestion {
  EventFilter filter;
  std::optional<std::int64_t> limit;
  std::size_t top = kShownByDefault;
};

tl::expected<RefusedQuestion, Failure> question_of(const Arguments& arguments,
                                                   policyd::TimePoint now) {
  RefusedQuestion out;
  if (!arguments.words().empty() && arguments.words().front().empty()) {
    return wrong_use("the address is empty");
  }
  if (arguments.has("follow") && arguments.has("json")) {
    return wrong_use("--follow and --json cannot be combined");
  }
  if (arguments.has("follow") && arguments.has("by-hour")) {
    return wrong_use("--follow and --by-hour cannot be combined");
  }
  const auto since = arguments.value("since");
  if (since && arguments.has("today")) return wrong_use("--since and --today cannot be combined");
  if (arguments.has("today")) out.filter.since = midnight(now);
  if (since) {
    const auto time = parse_since(*since, now);
    if (!time) return wrong_use(time.error().message);
    out.filter.since = *time;
  }
  if (const auto text = arguments.value("limit")) {
    const auto id = parse_id(*text);
    if (!id) return tl::unexpected{id.error()};
    out.limit = *id;
  }
  if (arguments.has("json")) out.top = std::numeric_limits<std::size_t>::max();
  if (arguments.has("follow")) out.top = kShownFirst;
  if (arguments.has("by-hour")) out.top = kTopByHour;
  const auto top = top_of(arguments);
  if (!top) return tl::unexpected{top.error()};
  out.top = top->value_or(out.top);
  if (arguments.has("watched")) {
    out.filter.kinds = {EventKind::watched, EventKind::let_through};
  } else {
    out.filter.kinds = {EventKind::refused};
  }
  return out;
}

// What the words of the question mean in this database.
Result<AllLimits> resolve(const Tables& tables, const DaemonConfig& daemon,
                          const Arguments& arguments, RefusedQuestion& question) {
  auto all = read_limits(tables);
  if (!all) return all;
  if (!arguments.words().empty()) {
    const std::string name =
        counted_name(tables, daemon.config, typed_name(arguments.words().front()));
    auto names = spellings_of(tables, name);
    if (!names) return tl::unexpected{names.error()};
    question.filter.show_only(name, std::move(*names));
  }
  if (!question.limit) return all;
  const auto id = existing_limit(*all, *question.limit);
  if (!id) return tl::unexpected{id.error()};
  question.filter.limit_ids.emplace();
  for (const StoredLimit& limit : all->limits) {
    if (limit.id != *id) continue;
    for (const StoredRate& rate : limit.rates) {
      question.filter.limit_ids->push_back(rate.limit_id);
    }
  }
  return all;
}

void print_notes(const DaemonConfig& daemon, Output& output) {
  if (const auto trouble = read_news(daemon).trouble_text()) {
    output.note(*trouble + "; what is refused meanwhile is listed afterwards.");
  }
  if (!daemon.config.cluster_url.empty()) {
    output.note("each host of the cluster lists what it refused itself.");
  }
}

std::string nothing_text(const Arguments& arguments, const RefusedQuestion& question) {
  std::string out =
      arguments.has("watched") ? "Nothing was watched or let through" : "Nothing was refused";
  if (!arguments.words().empty()) {
    out += fmt::format(" of {}", shown(arguments.words().front()));
  }
  if (question.limit) out += fmt::format(" by limit {}", *question.limit);
  return out + (question.filter.since
                    ? fmt::format(" since {}.", local_time_text(*question.filter.since))
                    : " in the last 30 days.");
}

Result<void> print_refused(const Tables& tables, const DaemonConfig& daemon,
                           const Arguments& arguments, const RefusedQuestion& question,
                           const AllLimits& all, Context& context) {
  auto refusals = read_refusal_spells(tables, question.filter);
  if (!refusals) return tl::unexpected{refusals.error()};
  const std::size_t found = refusals->size();
  if (found > question.top) refusals->resize(question.top);
  if (auto done = note_who_was_freed(tables, all, *refusals); !done) return done;
  const auto warnings = headlines(daemon, context.now);
  if (arguments.has("json")) {
    nlohmann::json list = nlohmann::json::array();
    for (const policyd::Event& event : *refusals) list.push_back(json_of(event, all));
    context.output.print(nlohmann::json{{"now", policyd::to_seconds(context.now)},
                                        {"found", found},
                                        {"refused", list},
                                        {"warnings", texts_of(warnings)}});
    return {};
  }
  print_headlines(warnings, context.advice, context.output);
  if (refusals->empty()) {
    context.output.line(nothing_text(arguments, question));
  } else {
    print_refusals(*refusals, all, context.now, context.output);
  }
  if (found > refusals->size()) {
    context.output.line(
        fmt::format("{} more; --top {} shows them all.", found - refusals->size(), found));
  }
  print_notes(daemon, context.output);
  return {};
}

Result<void> print_hours(const Tables& tables, const DaemonConfig& daemon,
                         const Arguments& arguments, const RefusedQuestion& question,
                         const AllLimits& all, Context& context) {
  const auto counts = count_refusals(tables, question.filter, all);
  if (!counts) return tl::unexpected{counts.error()};
  const auto warnings = headlines(daemon, context.now);
  if (arguments.has("json")) {
    auto out = json_of(*counts, question.top);
    out["now"] = policyd::to_seconds(context.now);
    out["warnings"] = texts_of(warnings);
    context.output.print(out);
    return {};
  }
  print_headlines(warnings, context.advice, context.output);
  if (counts->times == 0) {
    context.output.line(nothing_text(arguments, question));
  } else {
    print_by_hour(*counts, question.top, context.now, context.output);
  }
  print_notes(daemon, context.output);
  return {};
}

std::int64_t last_id(const Tables& tables) {
  return policyd::sql::first_integer(tables.db, "SELECT max(ID) FROM {p}limits_events",
                                     tables.prefix)
      .value_or(0);
}

// The latest first, as for a list, but printed in the order in which they happened.
Result<void> follow(const Tables& tables, RefusedQuestion question, const AllLimits& all,
                    Context& context) {
  SignalWait signals;
  std::size_t most = question.top;
  for (;;) {
    // Those added while these are read come with the next ones. Lower than before if a copy of the
    // database was restored.
    std::int64_t last = last_id(tables);
    std::vector<StoredEvent> events;
    auto done = each_event(tables, question.filter, [&](StoredEvent&& stored) {
      events.push_back(std::move(stored));
      return events.size() < most;
    });
    if (!done) return done;
    std::reverse(events.begin(), events.end());
    for (const StoredEvent& stored : events) {
      context.output.line(refusal_line(stored.event, all, policyd::wall_clock()));
      last = std::max(last, stored.id);
    }
    context.output.flush();
    question.filter.after_id = last;
    most = std::numeric_limits<std::size_t>::max();
    if (!signals.wait(kPollEvery)) return {};
  }
}

Outcome run_refused(const Arguments& arguments, Context& context) {
  auto question = question_of(arguments, context.now);
  if (!question) return tl::unexpected{question.error()};
  return with_database(arguments, context,
                       [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
                         const auto all = resolve(tables, daemon, arguments, *question);
                         if (!all) return tl::unexpected{all.error()};
                         if (arguments.has("follow"))
                           return follow(tables, *question, *all, context);
                         if (arguments.has("by-hour")) {
                           return print_hours(tables, daemon, arguments, *question, *all, context);
                         }
                         return print_refused(tables, daemon, arguments, *question, *all, context);
                       });
}

}  // namespace

const Command kRefused = {
    "refused",
    "[ADDRESS] [--today | --since TIME] [--limit ID] [--watched] [--by-hour] [--top N] [--json | "
    "--follow]",
    "Show whose mail was refused, since when and by what",
    "Lists what the daemon has refused in the last 30 days, the latest first: by limits, "
    "Accounting, "
    "access control, greylisting, HELO and SPF checks. Refusals of the same sender by the same "
    "limit are one line, unless an hour without any lies between them: how often, since when, "
    "until when, "
    "from which client the last one came, and when the sender is free again. With ADDRESS only "
    "those of a mail address, a domain, an IP address, a network or a login name; of an account "
    "both spellings, if this server has one domain.",
    "refused --today\n"
    "refused anna@example.org --since 09:00\n"
    "refused --limit 3 --watched\n"
    "refused --by-hour --since yesterday\n"
    "refused --follow",
    kRefusedOptions,
    1,
    run_refused};

}  // namespace limits
