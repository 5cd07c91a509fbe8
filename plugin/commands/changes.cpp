// SPDX-License-Identifier: AGPL-3.0-only
// `changes`: what was changed, when, and by whom.
#include <fmt/core.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "plugin/commands/commands.hpp"
#include "plugin/commands/top_option.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/events/joined_changes.hpp"
#include "plugin/events/read_events.hpp"
#include "plugin/events/since.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {
namespace {

using policyd::EventKind;

constexpr std::array<Option, 3> kChangesOptions = {{
    {"since", "TIME", "only since then: 09:00, yesterday, 2026-11-25, '2026-11-25 09:00' or 2h"},
    {"top", "N", "show only the N latest (default: 20, or all with --json)"},
    {"json", "", "print JSON"},
}};

constexpr std::size_t kShownChanges = 20;

std::vector<EventKind> kinds_of_changes() {
  return {EventKind::rules,  EventKind::reset,    EventKind::paused,
          EventKind::locked, EventKind::released, EventKind::resumed};
}

// The latest first.
Result<std::vector<policyd::Event>> read_changes(const Tables& tables,
                                                 std::optional<policyd::TimePoint> since) {
  EventFilter filter;
  filter.kinds = kinds_of_changes();
  filter.since = since;
  std::vector<policyd::Event> out;
  auto done = each_event(tables, filter, [&](StoredEvent&& stored) {
    add_change(out, std::move(stored.event));
    return true;
  });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::string words_for(EventKind kind) {
  switch (kind) {
    case EventKind::rules:
      return "limits changed";
    case EventKind::reset:
      return "counters cleared";
    case EventKind::paused:
      return "limits paused";
    case EventKind::resumed:
      return "pause ended";
    case EventKind::locked:
      return "blocked";
    case EventKind::released:
      return "unblocked";
    default:
      return std::string{policyd::name_of(kind)};
  }
}

// "limits changed: carbonio-limits set 3 5/h", "blocked eve@example.org: carbonio-limits block
// eve@..."
std::string change_text(const policyd::Event& event) {
  std::string out = words_for(event.kind);
  if (!event.track_key.empty()) {
    out += fmt::format("{} {}", event.kind == EventKind::reset ? " of" : "",
                       key_text(event.track_key));
  }
  if (!event.detail.empty()) out += ": " + escaped(event.detail);
  return out;
}

nlohmann::json change_json(const policyd::Event& event) {
  return {{"kind", policyd::name_of(event.kind)},
          {"time", policyd::to_seconds(event.last)},
          {"who", event.who},
          {"what", change_text(event)},
          {"times", event.times}};
}

void print_changes(const std::vector<policyd::Event>& changes, policyd::TimePoint now,
                   Output& output) {
  Table table{{{"TIME"}, {"BY", false, Shrinks::first}, {"WHAT", false, Shrinks::last}}};
  for (const policyd::Event& event : changes) {
    table.add({{short_time_text(event.last, now)}, {escaped(event.who)}, {change_text(event)}});
  }
  output.print(table);
}

Outcome run_changes(const Arguments& arguments, Context& context) {
  std::optional<policyd::TimePoint> since;
  if (const auto text = arguments.value("since")) {
    const auto time = parse_since(*text, context.now);
    if (!time) return wrong_use(time.error().message);
    since = *time;
  }
  const bool json = arguments.has("json");
  const auto asked = top_of(arguments);
  if (!asked) return tl::unexpected{asked.error()};
  const std::size_t top =
      asked->value_or(json ? std::numeric_limits<std::size_t>::max() : kShownChanges);
  return with_database(
      arguments, context, [&](const Tables& tables, const DaemonConfig& daemon) -> Result<void> {
        auto changes = read_changes(tables, since);
        if (!changes) return tl::unexpected{changes.error()};
        const std::size_t found = changes->size();
        if (found > top) changes->resize(top);
        if (json) {
          nlohmann::json list = nlohmann::json::array();
          for (const policyd::Event& event : *changes) list.push_back(change_json(event));
          context.output.print(
              nlohmann::json{{"now", policyd::to_seconds(context.now)},
                             {"found", found},
                             {"changes", std::move(list)},
                             {"warnings", texts_of(headlines(daemon, context.now))}});
        } else if (changes->empty()) {
          context.output.line(
              since ? fmt::format("Nothing was changed since {}.", local_time_text(*since))
                    : "Nothing was changed in the last 30 days.");
        } else {
          print_changes(*changes, context.now, context.output);
          if (found > top) {
            context.output.line(
                fmt::format("{} more; --top {} shows them all.", found - top, found));
          }
        }
        return {};
      });
}

}  // namespace

const Command kChanges = {
    "changes",
    "[--since TIME] [--top N] [--json]",
    "Show what was changed, when and by whom",
    "Lists changes of limits, blocks, cleared counters and pauses of the last 30 days, the latest "
    "first, "
    "with who ran the command or used the page. Limits that were changed with SQL are listed, too, "
    "without who it was.",
    "changes\n"
    "changes --since yesterday",
    kChangesOptions,
    0,
    run_changes};

}  // namespace limits
