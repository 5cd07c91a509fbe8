// SPDX-License-Identifier: AGPL-3.0-only
// `pause` and `resume`: the brake. For a while the daemon answers DUNNO to everything.
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <system_error>

#include "daemon/events/event.hpp"
#include "daemon/status/pause_file.hpp"
#include "daemon/status/status.hpp"
#include "hooks/service/daemon_process.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/commands/commands.hpp"
#include "plugin/commands/with_database.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/limit/duration.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::Pause;

constexpr std::array<Option, 1> kPauseOptions = {{
    {"uncounted", "", "do not count the mail that passes meanwhile"},
}};

constexpr std::chrono::hours kDefaultPause{1};
// The daemon writes its status once a second.
constexpr std::chrono::seconds kConfirmedWithin{5};
constexpr std::chrono::milliseconds kInterval{50};

tl::expected<std::chrono::seconds, Failure> duration_of(const Arguments& arguments) {
  std::string text;
  for (const std::string& word : arguments.words()) text += word;  // "10 min", too
  if (arguments.words().empty()) return kDefaultPause;
  const auto duration = parse_duration(text, Pause::kMin, Pause::kMax, "1 s to 7 days");
  if (!duration) return wrong_use(duration.error().message);
  return *duration;
}

// Where the brake is, and how to see that the daemon follows it.
struct Brake {
  fs::path pause_file;
  fs::path status_file;
  fs::path config;
  fs::path pid_file;
  bool in_cluster = false;
};

tl::expected<Brake, Failure> find_brake(const Arguments& arguments, const Context& context,
                                        std::string_view command) {
  if (arguments.has(std::string{kDatabaseOption})) {
    return wrong_use(fmt::format(
        "{} does not accept --database: it concerns the daemon, whatever its database", command));
  }
  const auto daemon = find_database(std::nullopt, context.zextras_home);
  if (!daemon) return failed(daemon.error());
  const fs::path& pid_file = daemon->config.pid_file;
  return Brake{policyd::pause_file_of(pid_file), policyd::status_file_of(pid_file), daemon->file,
               pid_file, is_in_cluster(*daemon)};
}

// Root becomes the owner of the folder; another user than that owner may not.
policyd::Result<std::optional<AsOwner>> become_owner(const Brake& brake) {
  const fs::path folder = brake.pause_file.parent_path();
  std::error_code code;
  if (!fs::is_directory(folder, code)) {
    return policyd::failure(fmt::format(
        "there is no folder {}, where the daemon keeps its pid file; create it with the daemon's "
        "user as its owner",
        folder.string()));
  }
  if (::geteuid() == 0) {
    auto owner = AsOwner::of(folder);
    if (!owner) return tl::unexpected{owner.error()};
    return std::move(*owner);
  }
  if (::access(folder.c_str(), W_OK) == 0) return std::nullopt;
  return policyd::failure(fmt::format(
      "user {} may not write to {}; run this command as root or as the user the daemon runs as",
      user_name(::geteuid()), folder.string()));
}

enum class Confirmed : std::uint8_t { yes, not_running, no };

// Waits until the daemon reports this pause.
Confirmed wait_for_daemon(const Brake& brake, const std::optional<Pause>& wanted) {
  const auto follows = [&] {
    if (wanted && !wanted->in_force(policyd::wall_clock())) return true;  // it is over by now
    const auto status = policyd::read_status(brake.status_file);
    return status && *status && (*status)->pause == wanted;
  };
  const auto runs = [&] { return carbonio::find_daemon(brake.config, brake.pid_file).has_value(); };
  if (!runs()) return Confirmed::not_running;
  if (carbonio::wait_until(kConfirmedWithin, kInterval, follows)) return Confirmed::yes;
  return runs() ? Confirmed::no : Confirmed::not_running;
}

// What the daemon remembers, exactly: it is compared with what the daemon reports.
std::string who_of(const Context& context) {
  return std::string{policyd::cut(context.actor.who, policyd::Event::kMaxText)};
}

std::string not_confirmed(std::string_view what) {
  return fmt::format(
      "{}, but the daemon has not confirmed it within {} s: it is an earlier version, the Perl "
      "daemon, or hangs; 'carbonio-limits service restart' replaces it",
      what, kConfirmedWithin.count());
}

// Hosts of a cluster share no pauses.
void note_other_hosts(const Brake& brake, const std::string& command, Context& context) {
  if (!brake.in_cluster) return;
  context.output.note(context.advice.complete(
      fmt::format("this concerns this host only; on each other MTA of the cluster: {}", command)));
}

Outcome run_pause(const Arguments& arguments, Context& context) {
  const auto duration = duration_of(arguments);
  if (!duration) return tl::unexpected{duration.error()};
  const auto brake = find_brake(arguments, context, "pause");
  if (!brake) return tl::unexpected{brake.error()};
  const Pause pause{policyd::wall_clock() + *duration, !arguments.has("uncounted"),
                    who_of(context)};
  {
    const auto owner = become_owner(*brake);
    if (!owner) return failed(owner.error());
    if (auto written = policyd::write_pause(brake->pause_file, pause); !written) {
      return failed(written.error());
    }
  }
  switch (wait_for_daemon(*brake, pause)) {
    case Confirmed::yes:
      break;
    case Confirmed::not_running:
      return failed(fmt::format(
          "the policy daemon is not running, and Postfix answers 451 to all mail if it asks it: "
          "this pause lets mail pass only once the daemon runs, until {}; 'carbonio-limits service "
          "start' starts it",
          local_time_text(pause.until)));
    case Confirmed::no:
      return failed(not_confirmed(pause_text(pause)));
  }
  context.output.line(context.advice.complete(
      fmt::format("{}. 'carbonio-limits resume' ends the pause now.", pause_text(pause))));
  if (pause.counted) {
    context.output.note(
        "who sends more than a limit meanwhile is refused after the pause until there is room "
        "again.");
  }
  std::string command = "carbonio-limits pause";
  for (const std::string& word : arguments.words()) command += " " + word;
  if (!pause.counted) command += " --uncounted";
  note_other_hosts(*brake, command, context);
  return {};
}

Outcome run_resume(const Arguments& arguments, Context& context) {
  const auto brake = find_brake(arguments, context, "resume");
  if (!brake) return tl::unexpected{brake.error()};
  const auto before = policyd::read_pause(brake->pause_file);
  const bool was_paused = before && *before && (*before)->in_force(policyd::wall_clock());
  const auto owner = become_owner(*brake);
  if (!owner) return failed(owner.error());
  // The daemon learns who ended it from a pause that is over, and remembers that.
  const Pause over{{}, true, who_of(context)};
  const bool told = was_paused && policyd::write_pause(brake->pause_file, over);
  auto confirmed = told ? wait_for_daemon(*brake, std::nullopt) : Confirmed::yes;
  if (auto removed = policyd::remove_pause(brake->pause_file); !removed) {
    return failed(removed.error());
  }
  if (was_paused && !told) confirmed = wait_for_daemon(*brake, std::nullopt);
  if (confirmed == Confirmed::no) return failed(not_confirmed("The pause is removed"));
  context.output.line(was_paused ? "The pause has ended: limits are in force again."
                                 : "Nothing to change: limits are not paused.");
  note_other_hosts(*brake, "carbonio-limits resume", context);
  return {};
}

}  // namespace

const Command kPause = {
    "pause",
    "[DURATION] [--uncounted]",
    "Let all mail pass for a while, whatever the limits say",
    "For an emergency: from the next mail on the daemon answers DUNNO to everything, so nothing is "
    "deferred or refused by it, not even if it cannot read its database (only what 'block' blocks "
    "stays blocked, unless no rules could be read since the daemon started). The pause ends by "
    "itself after DURATION (90s, 10min, 2h, 1day; default: 1h, at most 7day), or with 'resume'. It "
    "lasts over restarts of the daemon, but not over a restart of the host. A further pause "
    "replaces it. In a cluster it holds on this host only: type it on each MTA.\n"
    "Mail that passes is counted, so who sends more than a limit is refused after the pause until "
    "there is room again; with --uncounted it is not.\n"
    "list, usage, explain, 'service status', doctor and the daemon's log show the pause. Only root "
    "and the "
    "daemon's user may use it.",
    "pause\n"
    "pause 10min\n"
    "pause 2h --uncounted",
    kPauseOptions,
    2,
    run_pause,
    Takes::other,
    "10min 1h 2h 1day",
    false};

const Command kResume = {
    "resume",
    "",
    "End a pause: limits are in force again",
    "From the next mail on all limits are in force. If there is no pause, nothing is changed. In a "
    "cluster this ends the pause of this host only.",
    "resume",
    {},
    0,
    run_resume,
    Takes::other,
    {},
    false};

}  // namespace limits
