// SPDX-License-Identifier: AGPL-3.0-only
// Asks Redis or Valkey before this host shares its limits by it: whether it can be used as the
// daemon would use it, who shares by it already, and with which rules. Waits for the replies, at
// most some seconds. As the daemon's user, who reads the password.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/hiredis_client.hpp"
#include "daemon/cluster/rules/reconcile.hpp"

namespace limits {

struct EngineReplies {
  policyd::RedisServer server;
  std::vector<policyd::Result<policyd::RedisReply>> replies;  // one for each command
};
// An Error, a sentence, if there is no server that can be used.
policyd::Result<EngineReplies> ask_engine(const policyd::HiredisSettings& settings,
                                          const std::vector<policyd::RedisCommand>& commands,
                                          std::chrono::milliseconds within = std::chrono::seconds{
                                              10});

struct EngineFacts {
  policyd::RedisServer server;
  std::string memory_policy;  // "noeviction"; empty if it does not say
  bool append_only = false;   // its data survives a restart
  policyd::PublishedRules rules;
  std::vector<std::string> others;          // names of the other MTAs that are alive
  std::vector<std::string> other_versions;  // "mta2 has 1.0.0"
};

struct EngineQuestion {
  policyd::HiredisSettings settings;
  std::string prefix;
  std::string node;          // this host's name to be
  std::string installation;  // policyd::installation_of
};
// Also an Error if another installation uses the name, or hosts of another protocol the prefix.
policyd::Result<EngineFacts> check_engine(const EngineQuestion& question);

// An MTA that told the others of itself in the last day.
struct KnownHost {
  std::string node;        // its name in the cluster
  std::string host;        // its host name
  std::string version;     // of its daemon
  std::int64_t rules = 0;  // the version of the cluster's rules that it has; 0: others
  std::chrono::milliseconds unseen{0};
};
policyd::Result<std::vector<KnownHost>> known_hosts(
    const policyd::HiredisSettings& settings, const std::string& prefix,
    std::chrono::milliseconds within = std::chrono::seconds{10});
// Those that did so in the last seconds: their daemons run, and share.
policyd::Result<std::vector<KnownHost>> alive_hosts(const policyd::HiredisSettings& settings,
                                                    const std::string& prefix);

// Which rules the cluster has.
policyd::Result<policyd::PublishedRules> published_rules(const policyd::HiredisSettings& settings,
                                                         const std::string& prefix,
                                                         std::chrono::milliseconds within);

// The published rules, as policyd::save_rules() returned them on the host that published them.
policyd::Result<std::string> fetch_rules(const EngineQuestion& question,
                                         const policyd::PublishedRules& published);

}  // namespace limits
