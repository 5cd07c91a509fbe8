// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/cluster/engine_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"
#include "daemon/cluster/count/nodes.hpp"
#include "daemon/cluster/count/rejoin.hpp"
#include "daemon/cluster/rules/rule_text.hpp"
#include "daemon/cluster/rules/rules_sync.hpp"
#include "plugin/cluster/engine_link.hpp"
#include "plugin/cluster/shared_figures.hpp"
#include "version.hpp"

namespace limits {
namespace {

using policyd::failure;
using policyd::RedisReply;
using policyd::Result;

Result<policyd::PublishedRules> rules_in(const RedisReply& reply) {
  const auto is = [&](std::size_t at, RedisReply::Kind kind) {
    return reply.list.size() == 2 && reply.list[at].kind == kind;
  };
  if (is(0, RedisReply::Kind::nothing) && is(1, RedisReply::Kind::nothing)) {
    return policyd::PublishedRules{};
  }
  const auto version = is(0, RedisReply::Kind::text)
                           ? policyd::parse_number<std::int64_t>(reply.list[0].text)
                           : std::nullopt;
  if (!version || *version < 1) {
    return failure("the key of the rules holds something else; use another [cluster] prefix");
  }
  return policyd::PublishedRules{*version, reply.list[1].text};
}

}  // namespace

Result<EngineReplies> ask_engine(const policyd::HiredisSettings& settings,
                                 const std::vector<policyd::RedisCommand>& commands,
                                 std::chrono::milliseconds within) {
  EngineLink link{settings, within};
  auto replies = link.ask(commands);
  if (!replies) return tl::unexpected{replies.error()};
  return EngineReplies{link.server(), std::move(*replies)};
}

Result<EngineFacts> check_engine(const EngineQuestion& question) {
  const policyd::CountNames names{question.prefix, question.node, {}};
  const auto answers =
      ask_engine(question.settings, {{"INFO", "memory"},
                                     {"INFO", "persistence"},
                                     {"GET", names.epoch_key()},
                                     {"TIME"},
                                     {"HGETALL", names.nodes_key()},
                                     {"HMGET", question.prefix + "rules", "version", "digest"}});
  if (!answers) return tl::unexpected{answers.error()};
  const auto& replies = answers->replies;
  for (const auto& reply : replies) {
    if (reply) continue;
    return failure(fmt::format("Redis {} answers {}; check it with redis-cli",
                               answers->server.address,
                               policyd::in_quotes(reply.error().message, 200)));
  }
  EngineFacts facts;
  facts.server = answers->server;
  facts.memory_policy =
      policyd::printable(policyd::info_field(replies[0]->text, "maxmemory_policy"), 40);
  facts.append_only = policyd::info_field(replies[1]->text, "aof_enabled") == "1";
  const std::string& epoch = replies[2]->text;
  if (!epoch.empty() && !epoch.starts_with(policyd::Rejoin::kProtocol)) {
    return failure(
        fmt::format("the hosts that share by Redis {} have another version of carbonio-limits; "
                    "install the same on all, or use another [cluster] prefix",
                    facts.server.address));
  }
  const auto now = time_in(*replies[3]);
  if (!now) return failure(fmt::format("Redis {} has no clock", facts.server.address));
  policyd::Nodes nodes{question.node};
  nodes.read(*replies[4], *now);
  policyd::Node own;
  own.id = question.installation;
  own.since = *now + policyd::Nodes::kAlive;
  if (const policyd::Node* other = nodes.namesake(own, *now)) {
    return failure(
        fmt::format("the host {} has the name {} in this cluster; use --node NAME with "
                    "another name",
                    policyd::in_quotes(other->host), policyd::in_quotes(question.node)));
  }
  for (const auto& [name, node] : nodes.all()) {
    if (name == question.node || *now - node.seen >= policyd::Nodes::kAlive) continue;
    facts.others.push_back(policyd::printable(name, 80));
    if (node.version != policyd::kVersion) {
      facts.other_versions.push_back(fmt::format("{} has {}", policyd::printable(name, 80),
                                                 policyd::printable(node.version, 40)));
    }
  }
  auto rules = rules_in(*replies[5]);
  if (!rules) return tl::unexpected{rules.error()};
  facts.rules = std::move(*rules);
  return facts;
}

Result<std::vector<KnownHost>> known_hosts(const policyd::HiredisSettings& settings,
                                           const std::string& prefix,
                                           std::chrono::milliseconds within) {
  const auto answers = ask_engine(
      settings, {{"TIME"}, {"HGETALL", policyd::CountNames{prefix, {}, {}}.nodes_key()}}, within);
  if (!answers) return tl::unexpected{answers.error()};
  for (const auto& reply : answers->replies) {
    if (!reply) return tl::unexpected{reply.error()};
  }
  const auto now = time_in(*answers->replies[0]);
  if (!now) return failure(fmt::format("Redis {} has no clock", answers->server.address));
  policyd::Nodes nodes{{}};
  nodes.read(*answers->replies[1], *now);
  std::vector<KnownHost> known;
  known.reserve(nodes.all().size());
  for (const auto& [name, node] : nodes.all()) {
    const auto unseen = std::max(*now - node.seen, policyd::Millis{0});
    if (unseen >= policyd::Nodes::kKept) continue;
    known.push_back({policyd::printable(name, 255), policyd::printable(node.host, 255),
                     policyd::printable(node.version, 40), node.rules, unseen});
  }
  return known;
}

Result<std::vector<KnownHost>> alive_hosts(const policyd::HiredisSettings& settings,
                                           const std::string& prefix) {
  auto hosts = known_hosts(settings, prefix);
  if (hosts) {
    std::erase_if(*hosts,
                  [](const KnownHost& host) { return host.unseen >= policyd::Nodes::kAlive; });
  }
  return hosts;
}

Result<policyd::PublishedRules> published_rules(const policyd::HiredisSettings& settings,
                                                const std::string& prefix,
                                                std::chrono::milliseconds within) {
  const auto answers =
      ask_engine(settings, {{"HMGET", prefix + "rules", "version", "digest"}}, within);
  if (!answers) return tl::unexpected{answers.error()};
  const auto& reply = answers->replies.front();
  if (!reply) return tl::unexpected{reply.error()};
  return rules_in(*reply);
}

Result<std::string> fetch_rules(const EngineQuestion& question,
                                const policyd::PublishedRules& published) {
  const std::string key = question.prefix + "rules:body";
  const auto length = ask_engine(question.settings, {{"LLEN", key}});
  if (!length) return tl::unexpected{length.error()};
  constexpr std::int64_t kMax = policyd::kMaxRuleBytes / policyd::RulesSync::kPieceBytes + 1;
  const auto& count = length->replies.front();
  if (!count || count->number < 1 || count->number > kMax) {
    return failure("the rules of the cluster are incomplete; change a limit on a host that shares");
  }
  std::vector<policyd::RedisCommand> commands;
  for (std::int64_t i = 0; i < count->number; ++i) {
    commands.push_back({"LINDEX", key, std::to_string(i)});
  }
  const auto pieces = ask_engine(question.settings, commands);
  if (!pieces) return tl::unexpected{pieces.error()};
  std::string rules;
  for (const auto& piece : pieces->replies) {
    if (piece) rules += piece->text;
  }
  if (policyd::sha1_of(rules) != published.digest) {
    return failure("the rules of the cluster changed meanwhile; run the command again");
  }
  return rules;
}

}  // namespace limits
