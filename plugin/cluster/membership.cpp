// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/membership.hpp"

#include <fmt/core.h>

#include <system_error>
#include <utility>

#include "daemon/cluster/member/cluster.hpp"
#include "daemon/cluster/rules/rule_text.hpp"
#include "daemon/sqlite/database.hpp"
#include "hooks/service/service.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/cluster/cluster_section.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/engine_check.hpp"
#include "plugin/cluster/engine_password.hpp"
#include "plugin/cluster/node_removal.hpp"
#include "plugin/cluster/whose_rules.hpp"
#include "plugin/database/as_owner.hpp"
#include "plugin/database/config_section.hpp"
#include "plugin/terminal/step_report.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

namespace fs = std::filesystem;
using policyd::Config;
using policyd::failure;

constexpr std::chrono::seconds kSharesWithin{10};
constexpr std::chrono::milliseconds kCheckEvery{100};
constexpr std::chrono::seconds kDatabasePatience{5};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The daemon's words about its settings, for who types a command.
std::string for_command(std::string text, const fs::path& password_in_memory) {
  if (!password_in_memory.empty()) {
    replace_all(text, password_in_memory.string(), "standard input");
  }
  replace_all(text, "set password_file in [cluster]", "use --password-stdin or --password-file");
  replace_all(text, "url in [cluster]", "the URL");
  return text;
}

bool is_running(const Context& context) {
  return carbonio::running_service(carbonio::find_service(context.zextras_home)).has_value();
}

std::int64_t pid_of_daemon(const DaemonConfig& daemon) {
  const auto status = policyd::read_status(policyd::status_file_of(daemon.config.pid_file));
  return status && *status ? (*status)->pid : 0;
}

class Join {
 public:
  Join(const DaemonConfig& daemon, const Joining& joining, Context& context)
      : daemon_(daemon), joining_(joining), context_(context), steps_(context.output) {}

  Outcome run() {
    if (auto done = find_settings(); !done) return done;
    if (auto done = examine(); !done) {
      return failed(for_command(done.error().message, in_memory_) + "; nothing was changed");
    }
    if (joining_.dry_run) return say_what_would_be_done();
    report_engine();
    if (auto done = change(); !done) return failed(done.error());
    return restart();
  }

 private:
  Outcome find_settings() {
    const auto address = policyd::parse_redis_address(joining_.url);
    if (!address) return wrong_use(address.error().message);
    wanted_ = daemon_.config;
    wanted_.cluster_url = joining_.url;
    keys_["url"] = joining_.url;
    if (joining_.node) keys_["node"] = wanted_.cluster_node = *joining_.node;
    if (joining_.without) keys_["without"] = *joining_.without;
    if (joining_.password) {
      wanted_.cluster_password_file = own_password_file(daemon_);
    } else if (joining_.password_file) {
      wanted_.cluster_password_file = *joining_.password_file;
    }
    if (joining_.password || joining_.password_file) {
      keys_["password_file"] = wanted_.cluster_password_file.string();
    }
    // As the daemon will read them.
    const auto read =
        policyd::parse_config(with_section_keys("", "cluster", keys_), "the options", "", "");
    if (!read) return wrong_use(read.error().message);
    if (joining_.without) wanted_.cluster_without = read->config.cluster_without;
    question_.settings = {*address, wanted_.cluster_password_file};
    question_.prefix = wanted_.cluster_prefix;
    question_.node = policyd::node_name_of(wanted_);
    question_.installation = policyd::installation_of(wanted_);
    return {};
  }

  policyd::Result<void> examine() {
    const auto owner = AsOwner::of(daemon_.config.database);
    if (!owner) return tl::unexpected{owner.error()};
    std::optional<PasswordInMemory> password;
    if (joining_.password) {
      auto held = PasswordInMemory::of(*joining_.password);
      if (!held) return tl::unexpected{held.error()};
      password = std::move(*held);
      in_memory_ = question_.settings.password_file = password->file();
    }
    auto facts = check_engine(question_);
    if (!facts) return tl::unexpected{facts.error()};
    facts_ = std::move(*facts);
    return compare_rules();
  }

  policyd::Result<void> compare_rules() {
    const auto db = policyd::open_database(daemon_.config.database, policyd::OpenMode::read_write,
                                           kDatabasePatience);
    if (!db) return tl::unexpected{db.error()};
    const auto rules = policyd::save_rules(db->get(), daemon_.config.table_prefix);
    if (!rules) return tl::unexpected{rules.error()};
    RulesSides sides;
    const auto ours = limits_in(*rules);
    if (!ours) return tl::unexpected{ours.error()};
    sides.ours = *ours;
    sides.equal = policyd::sha1_of(*rules) == facts_.rules.digest;
    if (facts_.rules.version != 0) {
      sides.theirs = sides.ours;
      if (!sides.equal) {
        const auto published = fetch_rules(question_, facts_.rules);
        if (!published) return tl::unexpected{published.error()};
        const auto theirs = limits_in(*published);
        if (!theirs) return tl::unexpected{theirs.error()};
        sides.theirs = *theirs;
      }
    }
    const auto chosen = whose_rules(sides, joining_.rules);
    if (!chosen) return tl::unexpected{chosen.error()};
    chosen_ = *chosen;
    return {};
  }

  [[nodiscard]] std::string rules_text() const {
    switch (chosen_) {
      case WhoseRules::first:
        return "the cluster has no rules yet: this host's become the cluster's";
      case WhoseRules::equal:
        return "the rules of this host and of the cluster are equal";
      case WhoseRules::theirs:
        return "the rules of the cluster replace this host's";
      case WhoseRules::ours:
        return "the rules of this host replace those of all other hosts";
    }
    return {};
  }

  void report_engine() {
    steps_.ok(
        fmt::format("{} on {} can be used", facts_.server.version, escaped(facts_.server.address)));
    steps_.ok(facts_.others.empty()
                  ? std::string{"no other host shares by it at the moment"}
                  : fmt::format("other hosts that share by it: {}", join_with_and(facts_.others)));
    steps_.ok(rules_text());
  }

  void note_engine() {
    if (!facts_.memory_policy.empty() && facts_.memory_policy != "noeviction") {
      context_.output.note(fmt::format(
          "the engine may drop counts when its memory is full (maxmemory-policy {}); set "
          "maxmemory-policy noeviction in its configuration.",
          escaped(facts_.memory_policy)));
    }
    if (!facts_.append_only) {
      context_.output.note(
          "the engine forgets its data when it is restarted (appendonly no); the hosts then write "
          "their counts again.");
    }
    if (!facts_.other_versions.empty()) {
      context_.output.note(fmt::format("other versions of carbonio-limits: {}.",
                                       join_with_and(facts_.other_versions)));
    }
  }

  Outcome say_what_would_be_done() {
    report_engine();
    Output& output = context_.output;
    output.line(fmt::format("Would be set in section [cluster] of {}:",
                            escaped(policyd::own_config_of(daemon_.file).string())));
    for (const auto& [key, value] : keys_) {
      output.line(escaped(fmt::format("  {}={}", key, value)));
    }
    if (is_running(context_)) output.line("Then the policy daemon would be restarted.");
    note_engine();
    output.line("Nothing was changed (--dry-run).");
    return {};
  }

  // Each part is needed by the next one, and changes nothing without it.
  policyd::Result<void> change() {
    changed_ = wanted_ != daemon_.config || joining_.password;
    const std::string file = policyd::own_config_of(daemon_.file).string();
    if (joining_.password) {
      const fs::path kept = own_password_file(daemon_);
      const auto owner = AsOwner::of(kept);
      if (!owner) return tl::unexpected{owner.error()};
      if (auto done = write_password(kept, *joining_.password, daemon_.config.database); !done) {
        return done;
      }
      steps_.done(fmt::format("wrote the password into {} (0640)", escaped(kept.string())));
    }
    if (chosen_ == WhoseRules::ours || chosen_ == WhoseRules::theirs) {
      const auto owner = AsOwner::of(daemon_.config.database);
      if (!owner) return tl::unexpected{owner.error()};
      const auto choice =
          chosen_ == WhoseRules::ours ? policyd::RuleChoice::ours : policyd::RuleChoice::theirs;
      if (auto done =
              policyd::choose_rules({daemon_.config.database, daemon_.config.table_prefix}, choice);
          !done) {
        return done;
      }
    }
    if (!changed_) {
      steps_.unchanged(fmt::format("section [cluster] of {}", escaped(file)));
      return {};
    }
    auto written = write_cluster_section(
        daemon_, [&](std::string_view text) { return with_section_keys(text, "cluster", keys_); },
        wanted_);
    if (!written) return written;
    steps_.done(fmt::format("wrote section [cluster] of {}", escaped(file)));
    return {};
  }

  Outcome restart() {
    note_engine();
    if (!is_running(context_)) {
      forget_former_name();
      remove_former_counts();
      context_.output.line(context_.advice.complete(
          "This host shares its limits once the policy daemon runs: carbonio-limits service "
          "start"));
      return {};
    }
    const std::int64_t before = pid_of_daemon(daemon_);
    if (changed_) {
      if (auto done = carbonio::restart_service(carbonio::find_service(context_.zextras_home));
          !done) {
        return failed(
            fmt::format("section [cluster] is written, but the daemon was not restarted: {}",
                        done.error().message));
      }
      steps_.done("restarted the policy daemon");
    }
    forget_former_name();
    ClusterView view;
    DaemonConfig now = daemon_;
    now.config = wanted_;
    const bool shares = carbonio::wait_until(kSharesWithin, kCheckEvery, [&] {
      view = view_cluster(now);
      return view.sharing && (!changed_ || pid_of_daemon(daemon_) != before);
    });
    if (!shares) {
      return failed(fmt::format(
          "section [cluster] is written, but this host does not share its limits yet: {}; see "
          "'carbonio-limits cluster status'",
          view.trouble));
    }
    remove_former_counts();
    context_.output.line(sharing_line(view));
    return {};
  }

  // Another name that this host had in this cluster.
  [[nodiscard]] std::optional<std::string> former_name() const {
    const std::string name = policyd::node_name_of(daemon_.config);
    if (daemon_.config.cluster_url != wanted_.cluster_url || name == question_.node) return {};
    return name;
  }

  // Under which this host would be counted for an hour more.
  void forget_former_name() const {
    const auto former = former_name();
    if (!former) return;
    if (const auto owner = AsOwner::of(daemon_.config.database); owner) {
      static_cast<void>(remove_node(wanted_, *former));
    }
  }

  // After the daemon has written the same under the new name, so that it counts all the time.
  void remove_former_counts() {
    const auto former = former_name();
    if (!former) return;
    const auto owner = AsOwner::of(daemon_.config.database);
    const auto done = owner ? remove_counts(wanted_, *former) : tl::unexpected{owner.error()};
    if (!done) {
      return steps_.not_checked(
          fmt::format("what this host counted as {} may count twice until its periods are over: {}",
                      escaped(*former), escaped(done.error().message)));
    }
    steps_.done(fmt::format("what this host counted as {} counts under its new name alone",
                            escaped(*former)));
  }

  const DaemonConfig& daemon_;
  const Joining& joining_;
  Context& context_;
  StepReport steps_;
  Config wanted_;
  SectionKeys keys_;
  EngineQuestion question_;
  fs::path in_memory_;
  EngineFacts facts_;
  WhoseRules chosen_ = WhoseRules::equal;
  bool changed_ = false;
};

}  // namespace

Outcome join_cluster(const DaemonConfig& daemon, const Joining& joining, Context& context) {
  return Join{daemon, joining, context}.run();
}

Outcome leave_cluster(const DaemonConfig& daemon, bool dry_run, Context& context) {
  Output& output = context.output;
  const Config before = daemon.config;
  if (before.cluster_url.empty()) {
    output.line("Nothing to change: this host is in no cluster.");
    return {};
  }
  const fs::path file = policyd::own_config_of(daemon.file);
  const bool running = is_running(context);
  if (dry_run) {
    output.line(
        fmt::format("Would be removed from {}: section [cluster].", escaped(file.string())));
    if (running) output.line("Then the policy daemon would be restarted.");
    output.line("Nothing was changed (--dry-run).");
    return {};
  }
  StepReport steps{output};
  Config wanted = before;
  const Config fresh;
  wanted.cluster_url = fresh.cluster_url;
  wanted.cluster_node = fresh.cluster_node;
  wanted.cluster_without = fresh.cluster_without;
  wanted.cluster_password_file = fresh.cluster_password_file;
  wanted.cluster_prefix = fresh.cluster_prefix;
  if (auto done = write_cluster_section(
          daemon, [](std::string_view text) { return without_section_keys(text, "cluster"); },
          wanted);
      !done) {
    return unchanged(done.error());
  }
  steps.done(fmt::format("removed section [cluster] of {}", escaped(file.string())));
  if (running) {
    if (auto done = carbonio::restart_service(carbonio::find_service(context.zextras_home));
        !done) {
      return failed(
          fmt::format("section [cluster] is removed, but the daemon was not restarted: {}",
                      done.error().message));
    }
    steps.done("restarted the policy daemon");
  }
  {
    const auto owner = AsOwner::of(before.database);
    if (!owner) return failed(owner.error());
    if (auto done = policyd::forget_published({before.database, before.table_prefix}); !done) {
      return failed(done.error());
    }
    if (auto done = remove_node(before, policyd::node_name_of(before)); !done) {
      steps.not_checked(fmt::format("the other hosts count this one for an hour more: {}",
                                    escaped(done.error().message)));
    } else {
      steps.done("the other hosts no longer count this one");
    }
  }
  if (before.cluster_password_file == own_password_file(daemon)) {
    const auto owner = AsOwner::of(before.cluster_password_file.parent_path());
    std::error_code code;
    if (owner && fs::remove(before.cluster_password_file, code)) {
      steps.done(fmt::format("removed {}", escaped(before.cluster_password_file.string())));
    }
  }
  output.line(
      "This host counts alone again: its limits and what it counted stay, and changes to limits "
      "are no longer shared.");
  return {};
}

}  // namespace limits
