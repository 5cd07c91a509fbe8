// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/host/host_service.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <system_error>

#include "daemon/base/shell_words.hpp"
#include "daemon/modules/make_modules.hpp"
#include "daemon/status/status.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/database_file.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/host/group_sync.hpp"
#include "plugin/host/server_switch.hpp"
#include "plugin/postfix/reload.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using carbonio::Configd;
using carbonio::ModuleSwitch;
using carbonio::Rewritten;
using carbonio::ServiceChange;
using policyd::Config;
using policyd::failure;
using Asks = PostfixView::Asks;

constexpr std::chrono::milliseconds kInterval{200};
constexpr const char* kSections = "cbpolicyd mta";

bool is_present(const fs::path& file) {
  std::error_code code;
  return fs::exists(fs::symlink_status(file, code));
}

bool differs(const carbonio::GroupChange& change) {
  return !change.added.empty() || !change.removed.empty();
}

Result<carbonio::GroupsChange> synchronised(const DaemonConfig& daemon,
                                            const carbonio::WantedMembers& wanted, bool dry_run) {
  const auto database = open_as_owner(daemon);
  if (!database) return tl::unexpected{database.error()};
  auto change =
      carbonio::synchronise(database->handle.get(), daemon.config.table_prefix, wanted, dry_run);
  if (!change) {
    return failure(fmt::format("database {}: {}; its groups were not changed",
                               daemon.config.database.string(), change.error().message));
  }
  return change;
}

std::string not_running(const Configd& configd) {
  return fmt::format(
      "configd is not running here (port {}); configuration and Postfix follow within 5 minutes of "
      "its start",
      configd.port);
}

std::vector<std::string> names_of(const Config& config) {
  std::vector<std::string> out;
  for (const auto& module : policyd::make_modules(config)) {
    out.emplace_back(module->name());
  }
  return out;
}

// The modules that the daemon reports; nullopt if it does not.
std::optional<std::vector<std::string>> modules_in_force(const Config& config) {
  auto status = policyd::read_status(policyd::status_file_of(config.pid_file));
  if (!status || !*status) return std::nullopt;
  return std::move((*status)->modules);
}

// Postfix processes with an open session keep asking until it ends.
void wait_for_last_sessions(const Config& config) {
  constexpr std::chrono::seconds kWithin{10};
  const auto file = policyd::status_file_of(config.pid_file);
  carbonio::wait_until(kWithin, kInterval, [&] {
    const auto status = policyd::read_status(file);
    return !status || !*status || (*status)->connections == 0;
  });
}

}  // namespace

std::optional<Config> HostService::configuration() const {
  auto loaded = policyd::load_config(home_ / "conf" / "cbpolicyd.conf");
  if (!loaded) return std::nullopt;
  return std::move(loaded->config);
}

PostfixView HostService::postfix() const {
  return inspect_postfix(home_, search_path_, configuration().value_or(Config{}));
}

bool HostService::attributes_applied(std::span<const ModuleSwitch> modules) const {
  const auto config = configuration();
  if (!config || !carbonio::switched_off(*config, modules).empty()) return false;
  const Asks asks = postfix().asks;
  return asks == Asks::everywhere || asks == Asks::unknown;
}

bool HostService::is_stopped() const {
  return !carbonio::is_switched_on(home_) &&
         !carbonio::running_service(carbonio::find_service(home_));
}

Result<std::vector<std::string>> HostService::commands_for(
    const carbonio::WantedMembers& wanted) const {
  std::vector<std::string> out;
  if (!is_present(home_ / "conf" / "cbpolicyd.conf"))
    out.push_back(rewrite_as_typed(configd_, kSections));
  for (const auto& [setting, value] : other_settings()) {
    out.push_back(
        setting_command(policyd::own_config_of(home_ / "conf" / "cbpolicyd.conf"), setting, value));
  }
  const auto daemon = find_database(std::nullopt, home_);
  if (!daemon) return tl::unexpected{daemon.error()};
  if (!is_present(daemon->config.database)) {
    out.emplace_back("carbonio-limits init");
  } else {
    const auto owner = AsOwner::of(daemon->config.database);
    if (!owner) return tl::unexpected{owner.error()};
    const auto change = synchronised(*daemon, wanted, true);
    if (!change) return tl::unexpected{change.error()};
    if (differs(change->domains) || differs(change->networks)) {
      out.emplace_back("carbonio-limits sync");
    }
  }
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!carbonio::is_switched_on(home_)) {
    out.push_back(fmt::format("touch {}", policyd::shell_word(mark.string())));
  }
  if (!carbonio::running_service(carbonio::find_service(home_))) {
    out.emplace_back("carbonio-limits service start");
  }
  return out;
}

Result<void> HostService::ensure_configuration(StepReport& steps) const {
  const fs::path file = home_ / "conf" / "cbpolicyd.conf";
  if (is_present(file)) return {};
  const Rewritten rewritten =
      carbonio::rewrite(configd_, kSections, [&] { return configuration().has_value(); });
  if (!rewritten.took_effect) {
    return failure(fmt::format("{} is missing, and configd did not write it: {}", file.string(),
                               rewritten.not_running ? not_running(configd_) : rewritten.trouble));
  }
  steps.done(fmt::format("configd wrote {}", file.string()));
  return {};
}

std::vector<std::pair<CopiedSetting, std::string>> HostService::other_settings() const {
  const PostfixFacts facts = read_postfix(home_, search_path_, std::nullopt);
  const auto config = configuration();
  std::vector<std::pair<CopiedSetting, std::string>> out;
  if (!config || !facts.why_not.empty()) return out;
  for (const CopiedSetting& setting : kCopiedSettings) {
    const auto value = value_for_daemon(setting, facts.*setting.postfix);
    if (value && *value != (*config).*setting.daemon) out.emplace_back(setting, *value);
  }
  return out;
}

Result<void> HostService::ensure_postfix_settings(StepReport& steps) const {
  const auto settings = other_settings();
  if (settings.empty()) return {};
  const fs::path file = policyd::own_config_of(home_ / "conf" / "cbpolicyd.conf");
  for (const auto& [setting, value] : settings) {
    const auto owner = AsOwner::of(file);
    if (!owner) return tl::unexpected{owner.error()};
    if (auto written = write_setting(file, setting, value); !written) return written;
    steps.done(fmt::format("set {} to Postfix's, '{}' ({})", setting.name, value, file.string()));
  }
  const auto service = carbonio::find_service(home_);
  return carbonio::running_service(service) ? carbonio::reload_service(service) : Result<void>{};
}

Result<void> HostService::ensure_database(const carbonio::WantedMembers& wanted, StepReport& steps,
                                          Output& output) const {
  const auto daemon = find_database(std::nullopt, home_);
  if (!daemon) return tl::unexpected{daemon.error()};
  const auto owner = AsOwner::of(daemon->config.database);
  if (!owner) return tl::unexpected{owner.error()};
  const std::string file = daemon->config.database.string();
  const bool fresh = !is_present(daemon->config.database);
  if (fresh) {
    if (auto created = make_database(*daemon); !created) return created;
    steps.done(fmt::format("created the database {}", file));
  } else {
    steps.unchanged(fmt::format("database {}", file));
  }
  const auto change = synchronised(*daemon, wanted, false);
  if (!change) return tl::unexpected{change.error()};
  print_skipped(wanted, output);
  const std::string what = fmt::format(
      "updated groups internal_domains ({} added, {} removed) and internal_ips ({} added, {} "
      "removed)",
      change->domains.added.size(), change->domains.removed.size(), change->networks.added.size(),
      change->networks.removed.size());
  if (differs(change->domains) || differs(change->networks)) {
    steps.done(what);
  } else {
    steps.unchanged("groups internal_domains and internal_ips");
  }
  return {};
}

Result<void> HostService::start(StepReport& steps) const {
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!is_present(mark)) {
    const auto owner = AsOwner::of(mark);
    if (!owner) return tl::unexpected{owner.error()};
    std::error_code code;
    fs::create_directories(mark.parent_path(), code);
    std::ofstream out{mark};
    out << "The policy service starts at boot if this file exists; carbonio-limits disable removes "
           "it.\n";
    if (!out.flush()) return failure(fmt::format("cannot write {}", mark.string()));
    steps.done(fmt::format("set the service to start at boot ({})", mark.string()));
  }
  const auto started = carbonio::start_service(carbonio::find_service(home_));
  if (!started) {
    return failure(fmt::format("the service was not started: {}", started.error().message));
  }
  if (*started == ServiceChange::done) {
    steps.done("started the service");
  } else {
    steps.unchanged("the service is running");
  }
  return {};
}

Result<void> HostService::stop(StepReport& steps) const {
  const auto stopped = carbonio::stop_service(carbonio::find_service(home_));
  if (!stopped) {
    return failure(fmt::format("the service was not stopped: {}", stopped.error().message));
  }
  if (*stopped == ServiceChange::done) {
    steps.done("stopped the service");
  } else {
    steps.unchanged("the service is not running");
  }
  const fs::path mark = carbonio::enabled_mark(home_);
  if (!is_present(mark)) return {};
  const auto owner = AsOwner::of(mark);
  if (!owner) return tl::unexpected{owner.error()};
  std::error_code code;
  fs::remove(mark, code);
  if (code) return failure(fmt::format("cannot remove {}: {}", mark.string(), code.message()));
  // Its figures are no longer written: they would count as lost.
  const fs::path figures = configuration().value_or(Config{}).metrics_file;
  if (!figures.empty()) fs::remove(home_ / figures, code);
  steps.done("set the service not to start at boot");
  return {};
}

void HostService::apply_attributes(std::span<const ModuleSwitch> modules, bool attributes_changed,
                                   StepReport& steps) const {
  const auto before = configuration();
  const Asks asked_before = postfix().asks;
  Rewritten rewritten;
  rewritten.took_effect = attributes_applied(modules);
  if (attributes_changed || !rewritten.took_effect) {
    rewritten = carbonio::rewrite(configd_, kSections, [&] { return attributes_applied(modules); });
    if (rewritten.took_effect && !rewritten.not_running) steps.done("configd rewrote its files");
  }
  reload_if_needed(before, steps);

  const auto report = [&](bool right_now, const std::string& right, const std::string& wrong) {
    if (right_now) return steps.ok(right);
    if (rewritten.not_running) {
      return steps.not_checked(fmt::format("{}; {}", wrong, not_running(configd_)));
    }
    steps.wrong(rewritten.trouble.empty() ? wrong
                                          : fmt::format("{}; {}", wrong, rewritten.trouble));
  };
  const auto config = configuration();
  const auto off = config ? carbonio::switched_off(*config, modules) : std::vector<std::string>{};
  const std::string file = (home_ / "conf" / "cbpolicyd.conf").string();
  report(config && off.empty(), fmt::format("the modules are switched on in {}", file),
         config ? fmt::format("{} is switched off in {}", join_with_and(off), file)
                : fmt::format("{} cannot be read", file));
  const PostfixView view = postfix();
  if (view.asks == Asks::unknown) return steps.not_checked(view.what);
  report(view.asks == Asks::everywhere, view.what, view.what);
  if (view.asks == asked_before) return;
  if (const auto reloaded = reload_postfix(home_); !reloaded) steps.wrong(reloaded.error().message);
}

void HostService::reload_if_needed(const std::optional<Config>& before, StepReport& steps) const {
  const auto now = configuration();
  if (!now) return;
  const auto in_force = modules_in_force(*now);
  if (now == before && (!in_force || *in_force == names_of(*now))) return;
  if (auto done = carbonio::reload_service(carbonio::find_service(home_)); !done) {
    return steps.wrong(fmt::format("the service was not reloaded: {}", done.error().message));
  }
  steps.done("reloaded the service");
}

void HostService::verify(StepReport& steps) const {
  constexpr std::chrono::seconds kWithin{10};
  DoctorQuestion question;
  question.zextras_home = home_;
  question.search_path = search_path_;
  // The checks of doctor that apply to what was switched on here.
  const auto applies = [](const Finding& finding) {
    return finding.check == check::kDaemonRunning || finding.check == check::kDaemonAnswers ||
           finding.check == check::kDaemonModules || finding.check == check::kDaemonTrouble;
  };
  Findings findings;
  carbonio::wait_until(kWithin, kInterval, [&] {
    findings = {};
    question.daemon = find_daemon_config(std::nullopt, home_);
    check_daemon(question, nullptr, findings);
    return std::none_of(findings.all().begin(), findings.all().end(), [&](const Finding& each) {
      return applies(each) && each.health == Health::wrong;
    });
  });
  for (const Finding& each : findings.all()) {
    if (!applies(each)) continue;
    if (each.health == Health::well) steps.ok(each.what);
    if (each.health == Health::not_checked) steps.not_checked(each.what);
    if (each.health == Health::wrong) {
      steps.wrong(fmt::format("{}; to fix it: {}", each.what, each.fix.text));
    }
  }
  const auto in_force = modules_in_force(question.daemon.config);
  if (!in_force || in_force->empty()) return;
  steps.ok(fmt::format("modules in force: {}", join_with_and(*in_force)));
}

Result<void> HostService::leave_postfix(bool attributes_changed, StepReport& steps) const {
  const auto asks = [&] {
    const Asks now = postfix().asks;
    return now == Asks::somewhere || now == Asks::everywhere;
  };
  const bool asked_before = asks();
  Rewritten rewritten;
  if (attributes_changed || asked_before) {
    rewritten = carbonio::rewrite(configd_, kSections, [&] { return !asks(); });
  }
  const PostfixView view = postfix();
  if (view.asks == Asks::unknown) {
    steps.not_checked(view.what);
    return {};
  }
  if (view.asks == Asks::nowhere) {
    if (asked_before) {
      if (auto reloaded = reload_postfix(home_); !reloaded) {
        return failure(
            fmt::format("{}. The service keeps running, since Postfix's processes still "
                        "ask it; then rerun the command",
                        reloaded.error().message));
      }
      wait_for_last_sessions(configuration().value_or(Config{}));
    }
    steps.ok("Postfix does not ask the daemon");
    return {};
  }
  return failure(fmt::format(
      "Postfix still asks the daemon: {}. The service keeps running, since without it Postfix "
      "would defer all mail; fix configd and rerun the command",
      rewritten.not_running ? not_running(configd_) : rewritten.trouble));
}

}  // namespace limits
