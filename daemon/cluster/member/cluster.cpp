// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/member/cluster.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <utility>

#include "daemon/cluster/rules/rule_text.hpp"
#include "version.hpp"

namespace policyd {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

RuleDatabase database_of(const Config& config) { return {config.database, config.table_prefix}; }

ClusterCounters::Settings settings_of(const Config& config, const std::string& node) {
  ClusterCounters::Settings settings;
  settings.prefix = config.cluster_prefix;
  settings.node = node;
  settings.id = installation_of(config);
  settings.host = host_name();
  settings.version = kVersion;
  settings.without = config.cluster_without;
  settings.timeout = config.cluster_timeout;
  settings.hosts = remembered_hosts(database_of(config));
  settings.remind_every = config.remind_interval;
  return settings;
}

}  // namespace

std::string node_name_of(const Config& config) {
  return config.cluster_node.empty() ? host_name() : config.cluster_node;
}

std::string installation_of(const Config& config) {
  std::ifstream in{"/etc/machine-id"};
  std::string machine;
  std::getline(in, machine);
  return sha1_of(fmt::format("{}\n{}\n{}", machine, host_name(), config.database.string()));
}

Cluster::Cluster(EpollLoop& loop, Maillog& log, const Config& config, Host host)
    : loop_(loop),
      node_(node_name_of(config)),
      stored_(loop, log, config.database, config.table_prefix, wall_clock),
      counters_(loop, gate_, stored_, log, settings_of(config, node_)),
      greylisting_(loop, gate_, log,
                   ClusterGreylisting::Settings{config.cluster_prefix, config.cluster_timeout,
                                                config.remind_interval},
                   [this] { return counters_.sharing(); }) {
  const auto address = parse_redis_address(config.cluster_url);
  if (!address) {
    trouble_ = fmt::format("url in [cluster]: {}", address.error().message);
    return;
  }
  redis_ =
      std::make_unique<HiredisClient>(loop, HiredisSettings{*address, config.cluster_password_file},
                                      [this] { connection_changed(); });
  rules_.emplace(loop, log, *redis_,
                 RulesSync::Settings{database_of(config), config.cluster_prefix, node_},
                 RulesSync::Ask{std::move(host.rules_version), [this] { return status().hosts; },
                                [this] {
                                  counters_.forget_all();
                                  counters_.set_rules_version(rules_version());
                                  look_for_resets();
                                }});
  resets_.emplace(
      ResetSync::With{loop, *redis_, counters_, log},
      ResetSync::Settings{{config.database, config.table_prefix}, config.cluster_prefix, node_},
      ResetSync::Ask{[this] { return rules_->agrees(); }, std::move(host.in_batch)});
}

bool Cluster::is_starting() {
  const auto now = std::chrono::steady_clock::now();
  if (!start_) start_ = now;
  const auto since = now - *start_;
  if (counters_.sharing() || !redis_ || since >= kStart) return false;
  if (!redis_->ready() && since >= kConnects) return false;
  return rules_->trouble().empty() && counters_.status().trouble.empty();
}

void Cluster::connection_changed() {
  rules_->look();
  look_for_resets();
}

void Cluster::look_for_resets() {
  if (!resets_) return;
  if (!rules_->agrees()) resets_->rules_differ();
  resets_->look();
}

bool Cluster::WhenCaughtUp::ready() const {
  return cluster_.redis_ && cluster_.redis_->ready() && cluster_.rules_->agrees() &&
         cluster_.resets_->caught_up();
}

const std::string& Cluster::WhenCaughtUp::trouble() const {
  if (!cluster_.redis_) return cluster_.trouble_;
  if (!cluster_.redis_->ready()) return cluster_.redis_->trouble();
  if (cluster_.rules_->agrees()) return cluster_.resetting_;
  return cluster_.rules_->trouble().empty() ? cluster_.comparing_ : cluster_.rules_->trouble();
}

std::uint64_t Cluster::WhenCaughtUp::connections() const {
  return cluster_.redis_ ? cluster_.redis_->connections() : 0;
}

void Cluster::WhenCaughtUp::command(std::vector<std::string> words, Done done) {
  if (ready()) return cluster_.redis_->command(std::move(words), std::move(done));
  cluster_.loop_.post(
      cluster_.guard_.wrap([done = std::move(done), why = trouble()] { done(failure(why)); }));
}

}  // namespace policyd
