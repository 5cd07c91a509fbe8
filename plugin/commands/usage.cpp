// SPDX-License-Identifier: AGPL-3.0-only
// `usage`: who has used how much of which limit, as of now.
#include <fmt/core.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>

#include "plugin/commands/commands.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/terminal/screen.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/usage_table.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 3> kOptions = {{
    {"top", "N", "the N fullest only (default: 20 in the table, all with --json)"},
    {"watch", "", "refresh every two seconds, until Ctrl-C"},
    {"json", "", "for programs"},
}};

constexpr std::size_t kDefaultTop = 20;
constexpr std::chrono::seconds kRefresh{2};

tl::expected<std::optional<std::size_t>, Failure> top_of(const Arguments& arguments) {
  const auto text = arguments.value("top");
  if (!text) return std::nullopt;
  std::size_t number = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (code != std::errc{} || end != text->data() + text->size() || number == 0) {
    return wrong_use(fmt::format("'{}' is no --top; give a whole number from 1 on", shown(*text)));
  }
  return number;
}

tl::expected<UsageQuery, Failure> query_of(const Arguments& arguments) {
  const auto top = top_of(arguments);
  if (!top) return tl::unexpected{top.error()};
  const bool json = arguments.has("json");
  if (json && arguments.has("watch")) return wrong_use("--watch and --json exclude each other");
  UsageQuery query;
  query.most = top->value_or(json ? query.most : kDefaultTop);
  if (arguments.words().empty()) return query;
  if (arguments.words().front().empty()) return wrong_use("the address is empty");
  query.filter.emplace(arguments.words().front());
  return query;
}

Result<void> print_once(const Tables& tables, const DatabasePlace& place, const UsageQuery& query,
                        bool json, const TypedAdvice& advice, Output& output) {
  const auto all = read_limits(tables);
  if (!all) return tl::unexpected{all.error()};
  const auto usage = read_usage(tables, all->limits, query);
  if (!usage) return tl::unexpected{usage.error()};
  const DaemonNews news = read_news(place);
  const UsageView view{*all, *usage, news, query, advice};
  if (json) {
    output.print(json_of(view));
  } else {
    print_usage(view, output);
  }
  return {};
}

Result<void> watch(const Tables& tables, const DatabasePlace& place, UsageQuery query,
                   const TypedAdvice& advice, Style style) {
  SignalWait signals;
  Screen screen{style.terminal};
  for (;;) {
    const TerminalSize size = terminal_size();
    style.width = size.columns;
    std::ostringstream picture;
    Output output{picture, style};
    query.now = policyd::wall_clock();
    auto printed = print_once(tables, place, query, false, advice, output);
    if (!printed) return printed;
    if (!screen.show(picture.str(), size.rows)) return {};
    if (signals.wait(kRefresh) == SignalWait::Woken::end) return {};
  }
}

Outcome run(const Arguments& arguments, Context& context) {
  auto query = query_of(arguments);
  if (!query) return tl::unexpected{query.error()};
  const auto place =
      find_database(arguments.value(std::string{kDatabaseOption}), context.zextras_home);
  if (!place) return failed(place.error());
  const auto database = open_as_owner(*place);
  if (!database) return failed(database.error());
  query->now = context.now;
  query->decay = place->decay;
  const auto done =
      arguments.has("watch")
          ? watch(database->tables, *place, *query, context.advice, context.output.style())
          : print_once(database->tables, *place, *query, arguments.has("json"), context.advice,
                       context.output);
  if (!done) {
    return failed(fmt::format("database {}: {}", place->file.string(), done.error().message));
  }
  return {};
}

}  // namespace

const Command kUsage = {
    "usage",
    "[ADDRESS] [--top N] [--watch | --json]",
    "Show who has used how much of which limit",
    "As of now, the fullest first; with how often the running daemon has refused him since its "
    "start. ADDRESS is a mail address (with the counters of its domain), a domain (with those of "
    "its users), an IP address (with those of networks it is in) or a login name, with all that is "
    "known about it. A limit with verdict none shows whom it would have stopped.",
    "usage --top 10\n"
    "usage alice@example.org\n"
    "usage --watch",
    kOptions,
    1,
    run};

}  // namespace limits
