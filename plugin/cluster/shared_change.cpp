// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/shared_change.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>

#include "daemon/cluster/redis_address.hpp"
#include "daemon/cluster/rules/reconcile.hpp"
#include "daemon/sqlite/database.hpp"
#include "hooks/system/wait_until.hpp"
#include "plugin/cluster/cluster_view.hpp"
#include "plugin/cluster/engine_check.hpp"

namespace limits {
namespace {

// The daemon looks three times a second.
constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::milliseconds kInterval{50};

policyd::RuleDatabase rules_of(const DaemonConfig& daemon) {
  return {daemon.config.database, daemon.config.table_prefix};
}

// The daemon either has to take those that are published, or is to publish its own.
bool may_change(const policyd::RememberedRules& here, const policyd::PublishedRules& published) {
  if (published.version == 0 || here.choice == "ours") return true;
  return here.choice.empty() && here.last == published;
}

}  // namespace

SharedChange::SharedChange(const DaemonConfig& daemon)
    : daemon_(daemon),
      shared_(daemon.configured && daemon.read && !daemon.config.cluster_url.empty()) {}

std::string SharedChange::trouble() const {
  const ClusterView view = view_cluster(daemon_);
  return view.sharing ? std::string{} : view.trouble;
}

Result<void> SharedChange::begin(const Tables& tables) {
  if (!shared_) return {};
  const policyd::Config& config = daemon_.config;
  kept_before_ = policyd::kept_rules(rules_of(daemon_));
  const auto address = policyd::parse_redis_address(config.cluster_url);
  if (!address) {
    engine_trouble_ = address.error().message;
    return {};
  }
  Result<void> done;
  const bool equal = carbonio::wait_until(kPatience, kInterval, [&] {
    const auto published =
        published_rules({*address, config.cluster_password_file}, config.cluster_prefix, kPatience);
    engine_trouble_ = published ? std::string{} : published.error().message;
    if (!published) return true;
    const auto here = policyd::remembered_rules(tables.db, tables.prefix);
    if (!here) done = tl::unexpected{here.error()};
    return !here || may_change(*here, *published);
  });
  if (!done || equal) return done;
  const std::string why = trouble();
  return policyd::failure(fmt::format(
      "this host does not have the rules of the cluster: {}",
      why.empty() ? "its daemon has not taken them over yet; run the command again" : why));
}

bool SharedChange::wait_until_published() const {
  const policyd::RuleDatabase database = rules_of(daemon_);
  const auto db = policyd::open_database(database.file, policyd::OpenMode::read_only, kPatience);
  if (!db) return false;
  // Compared again only if what is remembered has changed: the rules may be many.
  std::optional<policyd::PublishedRules> compared;
  return carbonio::wait_until(kPatience, kInterval, [&] {
    const auto here = policyd::remembered_rules(db->get(), database.table_prefix);
    if (!here || (compared && *compared == here->last)) return false;
    compared = here->last;
    return policyd::is_published(database).value_or(false);
  });
}

Result<std::string> SharedChange::finish() const {
  if (!shared_) return std::string{};
  if (!engine_trouble_.empty()) {
    return fmt::format(
        "the other MTAs get this change once Redis can be asked again; at the moment: {}",
        engine_trouble_);
  }
  const bool published = view_cluster(daemon_).figures && wait_until_published();
  std::vector<std::filesystem::path> kept;
  const auto now = policyd::kept_rules(rules_of(daemon_));
  std::set_difference(now.begin(), now.end(), kept_before_.begin(), kept_before_.end(),
                      std::back_inserter(kept));
  if (!kept.empty()) {
    return policyd::failure(
        fmt::format("another host changed the rules at the same moment, so this change was not "
                    "taken; what it made of the rules is kept in {}; run the command again",
                    kept.back().string()));
  }
  if (published) return std::string{};
  const std::string why = trouble();
  return why.empty() ? "the other MTAs do not have this change yet; see 'carbonio-limits cluster "
                       "status'"
                     : fmt::format(
                           "the other MTAs get this change once this host shares with "
                           "them; at the moment: {}",
                           why);
}

}  // namespace limits
