// SPDX-License-Identifier: AGPL-3.0-only
// `on` and `off`: a limit out of force and in force again, with nothing of it lost.
#include <fmt/core.h>

#include <array>

#include "plugin/commands/by_id.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/limit_text/change_report.hpp"
#include "plugin/limit_text/limit_line.hpp"

namespace limits {
namespace {

constexpr std::array<Option, 1> kOptions = {{kDryRunOption}};

Result<std::vector<std::string>> change(Changes& changes, AllLimits& all, std::int64_t id, bool dry,
                                        bool on) {
  const auto put = switch_limit(changes, all, id, on);
  if (!put) return tl::unexpected{put.error()};
  const std::string_view word = on ? "on" : "off";
  std::string what;
  if (put->kind == Put::Kind::same) {
    what = fmt::format("Nothing to change, limit {} is {} already", id, word);
  } else {
    what = fmt::format("{} limit {} {}", dry ? "Would switch" : "Switched", id, word);
  }
  std::vector<std::string> out = {fmt::format("{}: {}.", what, describe(all, put->limit))};
  for (const std::string& text : put->consequences) out.push_back(say_consequence(text));
  return out;
}

Outcome run(const Arguments& arguments, Context& context, bool on) {
  const auto ids = parse_ids(arguments.words());
  if (!ids) return tl::unexpected{ids.error()};
  return change_limits(*ids, arguments, context,
                       [on](Changes& changes, AllLimits& all, std::int64_t id, bool dry) {
                         return change(changes, all, id, dry, on);
                       });
}

Outcome run_on(const Arguments& arguments, Context& context) {
  return run(arguments, context, true);
}
Outcome run_off(const Arguments& arguments, Context& context) {
  return run(arguments, context, false);
}

constexpr std::size_t kMostIds = 1000;

}  // namespace

const Command kOn = {
    "on",
    "ID... [--dry-run]",
    "Put a limit that was switched off in force again",
    "ID is the first column of 'list'. Where the limit replaces a more general one for its target, "
    "it does so again.",
    "on 3",
    kOptions,
    kMostIds,
    run_on,
    Takes::id};

const Command kOff = {
    "off",
    "ID... [--dry-run]",
    "Switch a limit off; 'on' puts it in force again",
    "ID is the first column of 'list'. A more general limit that this one replaced concerns its "
    "target again meanwhile. What was counted is kept.",
    "off 3\n"
    "off 3 4 5",
    kOptions,
    kMostIds,
    run_off,
    Takes::id};

}  // namespace limits
