// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/host_service.hpp"

#include <fmt/core.h>

#include <fstream>
#include <system_error>
#include <thread>

#include "daemon/modules/make_modules.hpp"
#include "daemon/status/status.hpp"
#include "hooks/carbonio/paths.hpp"
#include "hooks/service/service.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/host/group_sync.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using carbonio::ModuleSwitch;
using carbonio::ServiceChange;
using policyd::Config;
using policyd::failure;
using Asks = PostfixView::Asks;

constexpr const char* kBoth = "cbpolicyd mta";

bool is_there(const fs::path& file) {
  std::error_code code;
  return fs::exists(fs::symlink_status(file, code));
}

bool differs(const carbonio::GroupChange& change) {
  return !change.added.empty() || !change.removed.empty();
}

Result<carbonio::SeedChange> synchronised(const DatabasePlace& place,
                                          const carbonio::Wanted& wanted, bool dry_run) {
  const auto database = open_as_owner(place);
  if (!database) return tl::unexpected{database.error()};
  auto change = carbonio::synchronise(database->handle.get(), place.table_prefix, wanted, dry_run);
  if (!change) {
    return failure(fmt::format("database {}: {}; its groups were not changed", place.file.string(),
                               change.error().message));
  }
  return change;
}

std::string nobody_there(const Configd& configd) {
  return fmt::format(
      "configd does not run here (port {}): configuration and Postfix follow within 60 s of its "
      "start",
      configd.port);
}

std::vector<std::string> names_of(const Config& config) {
  std::vector<std::string> out;
  for (const auto& module : policyd::make_modules(config, nullptr)) {
    out.emplace_back(module->name());
  }
  return out;
}

// The modules that the daemon works with; nullopt where it does not say.
std::optional<std::vector<std::string>> modules_in_force(const Config& config) {
  auto status = policyd::read_status(policyd::status_file_of(config.pid_file));
  if (!status || !*status) return std::nullopt;
  return std::move((*status)->modules);
}

// Processes of Postfix that are in the middle of a session go on asking until its end.
void wait_for_last_sessions(const Config& config) {
  constexpr std::chrono::seconds kWithin{10};
  constexpr std::chrono::milliseconds kLookAgain{200};
  const auto file = policyd::status_file_of(config.pid_file);
  const auto until = std::chrono::steady_clock::now() + kWithin;
  while (std::chrono::steady_clock::now() < until) {
    const auto status = policyd::read_status(file);
    if (!status || !*status || (*status)->connections == 0) return;
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace

std::optional<Config> HostService::configuration() const {
  auto loaded = policyd::load_config(home_ / "conf" / "cbpolicyd.conf");
  if (!loaded) return std::nullopt;
  return std::move(loaded->config);
}

PostfixView HostService::postfix() const {
  return look_at_postfix(home_, search_path_, configuration().value_or(Config{}));
}

bool HostService::is_followed(std::span<const ModuleSwitch> modules) const {
  const auto config = configuration();
  if (!config || !carbonio::switched_off(*config, modules).empty()) return false;
  const Asks asks = postfix().asks;
  return asks == Asks::everywhere || asks == Asks::unknown;
}

bool HostService::is_switched_on() const { return is_there(carbonio::enabled_mark(home_)); }

bool HostService::is_stopped() const {
  return !is_switched_on() && !carbonio::running_service(carbonio::find_service(home_));
}

Result<std::vector<std::string>> HostService::to_be_done(const carbonio::Wanted& wanted) const {
  std::vector<std::string> out;
  if (!is_there(home_ / "conf" / "cbpolicyd.conf"))
    out.push_back(rewrite_as_typed(configd_, kBoth));
  const auto place = find_database(std::nullopt, home_);
  if (!place) return tl::unexpected{place.error()};
  if (!is_there(place->file)) {
    out.emplace_back("carbonio-limits init");
  } else {
    const auto owner = AsOwner::of(place->file);
    if (!owner) return tl::unexpected{owner.error()};
    const auto change = synchronised(*place, wanted, true);
    if (!change) return tl::unexpected{change.error()};
    if (differs(change->domains) || differs(change->networks)) {
      out.emplace_back("carbonio-limits sync");
    }
  }
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!is_there(mark)) out.push_back(fmt::format("touch {}", mark.string()));
  if (!carbonio::running_service(carbonio::find_service(home_))) {
    out.emplace_back("carbonio-limits service start");
  }
  return out;
}

Result<void> HostService::have_configuration(StepReport& steps) const {
  const fs::path file = home_ / "conf" / "cbpolicyd.conf";
  if (is_there(file)) return {};
  const Rewritten rewritten = rewrite(configd_, kBoth, [&] { return configuration().has_value(); });
  if (!rewritten.so) {
    return failure(
        fmt::format("there is no {}, and configd did not write it: {}", file.string(),
                    rewritten.nobody_there ? nobody_there(configd_) : rewritten.trouble));
  }
  steps.done(fmt::format("configd wrote {}", file.string()));
  return {};
}

Result<void> HostService::have_database(const carbonio::Wanted& wanted, StepReport& steps,
                                        Output& output) const {
  const auto place = find_database(std::nullopt, home_);
  if (!place) return tl::unexpected{place.error()};
  const auto owner = AsOwner::of(place->file);
  if (!owner) return tl::unexpected{owner.error()};
  const std::string file = place->file.string();
  const bool fresh = !is_there(place->file);
  if (fresh) {
    if (auto made = make_database(*place); !made) return made;
    steps.done(fmt::format("made the database {}", file));
  } else {
    steps.as_it_was(fmt::format("database {}", file));
  }
  const auto change = synchronised(*place, wanted, false);
  if (!change) return tl::unexpected{change.error()};
  say_skipped(wanted, output);
  const std::string what = fmt::format(
      "groups internal_domains ({} added, {} removed) and internal_ips ({} added, {} removed)",
      change->domains.added.size(), change->domains.removed.size(), change->networks.added.size(),
      change->networks.removed.size());
  if (differs(change->domains) || differs(change->networks)) {
    steps.done(what);
  } else {
    steps.as_it_was("groups internal_domains and internal_ips");
  }
  return {};
}

Result<void> HostService::start(StepReport& steps) const {
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!is_there(mark)) {
    const auto owner = AsOwner::of(mark);
    if (!owner) return tl::unexpected{owner.error()};
    std::error_code code;
    fs::create_directories(mark.parent_path(), code);
    std::ofstream out{mark};
    out << "The policy service starts at boot where this file is; carbonio-limits disable removes "
           "it.\n";
    if (!out.flush()) return failure(fmt::format("cannot write {}", mark.string()));
    steps.done(fmt::format("the service is to start at boot ({})", mark.string()));
  }
  const auto started = carbonio::start_service(carbonio::find_service(home_));
  if (!started) {
    return failure(fmt::format("the service was not started: {}", started.error().message));
  }
  if (*started == ServiceChange::done) {
    steps.done("the service was started");
  } else {
    steps.as_it_was("the service runs");
  }
  return {};
}

Result<void> HostService::stop(StepReport& steps) const {
  const auto stopped = carbonio::stop_service(carbonio::find_service(home_));
  if (!stopped) {
    return failure(fmt::format("the service was not stopped: {}", stopped.error().message));
  }
  if (*stopped == ServiceChange::done) {
    steps.done("the service was stopped");
  } else {
    steps.as_it_was("the service does not run");
  }
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!is_there(mark)) return {};
  const auto owner = AsOwner::of(mark);
  if (!owner) return tl::unexpected{owner.error()};
  std::error_code code;
  fs::remove(mark, code);
  if (code) return failure(fmt::format("cannot remove {}: {}", mark.string(), code.message()));
  steps.done("the service is not to start at boot");
  return {};
}

void HostService::follow(std::span<const ModuleSwitch> modules, bool attributes_changed,
                         StepReport& steps) const {
  const auto before = configuration();
  Rewritten rewritten;
  rewritten.so = is_followed(modules);
  if (attributes_changed || !rewritten.so) {
    rewritten = rewrite(configd_, kBoth, [&] { return is_followed(modules); });
    if (rewritten.so && !rewritten.nobody_there) steps.done("configd rewrote what it generates");
  }
  reload_where_needed(before, steps);

  const auto tell = [&](bool so, const std::string& right, const std::string& wrong) {
    if (so) return steps.well(right);
    if (rewritten.nobody_there) {
      return steps.not_checked(fmt::format("{}; {}", wrong, nobody_there(configd_)));
    }
    steps.wrong(rewritten.trouble.empty() ? wrong
                                          : fmt::format("{}; {}", wrong, rewritten.trouble));
  };
  const auto config = configuration();
  const auto off = config ? carbonio::switched_off(*config, modules) : std::vector<std::string>{};
  const std::string file = (home_ / "conf" / "cbpolicyd.conf").string();
  tell(config && off.empty(), fmt::format("the modules are switched on in {}", file),
       config ? fmt::format("{} is switched off in {}", join_with_and(off), file)
              : fmt::format("{} cannot be read", file));
  const PostfixView view = postfix();
  if (view.asks == Asks::unknown) {
    steps.not_checked(view.what);
  } else {
    tell(view.asks == Asks::everywhere, view.what, view.what);
  }
}

void HostService::reload_where_needed(const std::optional<Config>& before,
                                      StepReport& steps) const {
  const auto now = configuration();
  if (!now) return;
  const auto in_force = modules_in_force(*now);
  if (now == before && (!in_force || *in_force == names_of(*now))) return;
  if (auto done = carbonio::reload_service(carbonio::find_service(home_)); !done) {
    return steps.wrong(fmt::format("the service was not reloaded: {}", done.error().message));
  }
  steps.done("the service read its configuration again");
}

void HostService::verify(StepReport& steps) const {
  constexpr std::chrono::seconds kWithin{10};
  constexpr std::chrono::milliseconds kLookAgain{200};
  DoctorQuestion question;
  question.zextras_home = home_;
  question.search_path = search_path_;
  const auto until = std::chrono::steady_clock::now() + kWithin;
  // The checks of doctor that are about what was switched on here.
  const auto is_ours = [](const Finding& finding) {
    for (const char* check : {"daemon.running", "daemon.answers", "daemon.modules"}) {
      if (finding.check == check) return true;
    }
    return false;
  };
  Findings findings;
  for (bool again = true; again;) {
    findings = {};
    question.daemon = find_daemon_config(std::nullopt, home_);
    check_daemon(question, nullptr, findings);
    again = false;
    for (const Finding& each : findings.all()) {
      again = again || (is_ours(each) && each.health == Health::wrong);
    }
    again = again && std::chrono::steady_clock::now() < until;
    if (again) std::this_thread::sleep_for(kLookAgain);
  }
  for (const Finding& each : findings.all()) {
    if (!is_ours(each)) continue;
    if (each.health == Health::well) steps.well(each.what);
    if (each.health == Health::not_checked) steps.not_checked(each.what);
    if (each.health == Health::wrong) {
      steps.wrong(fmt::format("{}; what mends it: {}", each.what, each.mend));
    }
  }
  const auto in_force = modules_in_force(question.daemon.config);
  if (!in_force || in_force->empty()) return;
  steps.well(fmt::format("modules in force: {}", join_with_and(*in_force)));
}

Result<void> HostService::leave_postfix(bool attributes_changed, StepReport& steps) const {
  const auto asks = [&] {
    const Asks now = postfix().asks;
    return now == Asks::somewhere || now == Asks::everywhere;
  };
  const bool asked_before = asks();
  Rewritten rewritten;
  if (attributes_changed || asked_before) {
    rewritten = rewrite(configd_, kBoth, [&] { return !asks(); });
  }
  const PostfixView view = postfix();
  if (view.asks == Asks::unknown) {
    steps.not_checked(view.what);
    return {};
  }
  if (view.asks == Asks::nowhere) {
    steps.well("Postfix does not ask the daemon");
    if (asked_before) wait_for_last_sessions(configuration().value_or(Config{}));
    return {};
  }
  return failure(fmt::format(
      "Postfix still asks the daemon: {}. The service was left running, since without it Postfix "
      "would defer all mail; see to configd and give the same command again",
      rewritten.nobody_there ? nobody_there(configd_) : rewritten.trouble));
}

}  // namespace limits
