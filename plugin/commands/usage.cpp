// SPDX-License-Identifier: AGPL-3.0-only
// `usage`: who has currently used how much of which limit.
#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "plugin/block/whom.hpp"
#include "plugin/cluster/shared_figures.hpp"
#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/top_option.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/terminal/screen.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/counted_name.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/shared_counters.hpp"
#include "plugin/usage/track_key.hpp"
#include "plugin/usage/usage_table.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 4> kUsageOptions = {{
    {"limit", "ID", "show only the counters of this limit"},
    {"top", "N", "show only the N fullest (default: 20, or all with --json)"},
    {"watch", "", "refresh every two seconds until Ctrl-C"},
    {"json", "", "print JSON"},
}};

constexpr std::size_t kDefaultTop = 20;
constexpr std::chrono::seconds kRefresh{2};

tl::expected<UsageQuery, Failure> query_of(const Arguments& arguments) {
  const auto top = top_of(arguments);
  if (!top) return tl::unexpected{top.error()};
  const bool json = arguments.has("json");
  if (json && arguments.has("watch")) return wrong_use("--watch and --json cannot be combined");
  UsageQuery query;
  query.max = top->value_or(json ? query.max : kDefaultTop);
  if (const auto text = arguments.value("limit")) {
    const auto id = parse_id(*text);
    if (!id) return tl::unexpected{id.error()};
    query.limit = *id;
  }
  if (arguments.words().empty()) return query;
  if (arguments.words().front().empty()) return wrong_use("the address is empty");
  return query;
}

Result<void> print_once(const Tables& tables, const DaemonConfig& daemon, UsageQuery query,
                        bool json, const TypedAdvice& advice, Output& output) {
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  if (query.limit) {
    const auto id = existing_limit(*all, *query.limit);
    if (!id) return tl::unexpected{id.error()};
    query.limit = *id;
  }
  if (query.filter) {
    const auto shared = shared_rows_of(tables, all->limits, query.filter->given());
    if (!shared) return tl::unexpected{shared.error()};
    query.shared = *shared;
  }
  const auto warnings = headlines(daemon, query.now);
  SharedFigures figures{daemon};
  query.now = figures.now().value_or(query.now);
  query.ask_others = figures.asking();
  query.alone = figures.alone();
  const auto usage = read_usage(tables, all->limits, query);
  if (!usage) return tl::unexpected{usage.error()};
  DaemonNews news = read_news(daemon);
  if (auto done = read_refusals(tables, query.now, news); !done) return done;
  const UsageView view{*all, *usage, news, query, advice};
  if (json) {
    nlohmann::json out = json_of(view);
    out["warnings"] = texts_of(warnings);
    out["others_unknown"] = nullptr;
    if (figures.configured() && !usage->of_all) out["others_unknown"] = figures.trouble();
    output.print(out);
  } else {
    print_headlines(warnings, advice, output);
    print_usage(view, output);
    if (figures.configured() && !usage->of_all) {
      output.note(
          advice.complete(fmt::format("these figures are this host's alone, since the "
                                      "other MTAs' are not known: {}",
                                      escaped(figures.trouble()))));
    }
    if (figures.alone()) output.note(figures.alone_text());
  }
  return {};
}

Result<void> watch(const Tables& tables, const DaemonConfig& daemon, UsageQuery query,
                   const TypedAdvice& advice, Style style) {
  SignalWait signals;
  Screen screen{style.terminal};
  for (;;) {
    const TerminalSize size = terminal_size();
    style.width = size.columns;
    std::ostringstream picture;
    Output output{picture, style};
    query.now = policyd::wall_clock();
    auto printed = print_once(tables, daemon, query, false, advice, output);
    if (!printed) return printed;
    if (!screen.show(picture.str(), size.rows)) return {};
    if (!signals.wait(kRefresh)) return {};
  }
}

Outcome run_usage(const Arguments& arguments, Context& context) {
  auto query = query_of(arguments);
  if (!query) return tl::unexpected{query.error()};
  return with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        query->now = context.now;
        query->decay = daemon.decays();
        if (!arguments.words().empty()) {
          const std::string name =
              counted_name(tables, daemon.config, typed_name(arguments.words().front()));
          auto names = spellings_of(tables, name);
          if (!names) return tl::unexpected{names.error()};
          query->filter.emplace(name, std::move(*names));
        }
        return arguments.has("watch")
                   ? watch(tables, daemon, *query, context.advice, context.output.style())
                   : print_once(tables, daemon, *query, arguments.has("json"), context.advice,
                                context.output);
      });
}

}  // namespace

const Command kUsage = {
    "usage",
    "[ADDRESS] [--limit ID] [--top N] [--watch | --json]",
    "Show who has used how much of which limit",
    "Shows the current use, first of those who are refused now, then the fullest, and how often "
    "the daemon has refused mail in the last 24 hours ('refused' shows more). In a cluster it "
    "shows what this host has counted, and what all MTAs have together, "
    "which is what a limit holds for. With ADDRESS it shows all counters of a mail address (and "
    "its domain), a domain (and "
    "its users), an IP address (and networks that contain it) or a login name (of an account both "
    "spellings, if this "
    "server has one domain), and the counters "
    "that it shares with everybody in a limit ('all together'). For a limit with verdict none you "
    "see whose mail it would have stopped. What a pause let through is not refused, and is named "
    "apart.",
    "usage --top 10\n"
    "usage alice@example.org\n"
    "usage --limit 3\n"
    "usage --watch",
    kUsageOptions,
    1,
    run_usage};

}  // namespace limits
