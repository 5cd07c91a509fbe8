// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/nodes.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "daemon/counting/window.hpp"

namespace policyd {

namespace {

constexpr std::size_t kMaxWord = 255;

using Json = nlohmann::json;

std::optional<std::string> word_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  auto word = found->get<std::string>();
  if (word.size() > kMaxWord) return std::nullopt;
  return word;
}

std::optional<std::int64_t> integer_of(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const auto number = found->get<std::int64_t>();
  if (number < 0 || number > Window::kLatest.time_since_epoch().count()) return std::nullopt;
  return number;
}

TimePoint time_of(std::int64_t ms) { return TimePoint{Millis{ms}}; }

}  // namespace

std::string json_of_node(const Node& node) {
  const Json json = {{"id", node.id},
                     {"host", node.host},
                     {"version", node.version},
                     {"rules", node.rules},
                     {"written", node.written},
                     {"since", node.since.time_since_epoch().count()},
                     {"seen", node.seen.time_since_epoch().count()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Node> node_of_json(std::string_view json) {
  if (json.size() > Nodes::kMaxBytes) return std::nullopt;
  const Json object = Json::parse(json, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto id = word_of(object, "id");
  const auto host = word_of(object, "host");
  const auto version = word_of(object, "version");
  const auto rules = integer_of(object, "rules");
  const auto written = word_of(object, "written");
  const auto since = integer_of(object, "since");
  const auto seen = integer_of(object, "seen");
  if (!id || !host || !version || !rules || !written || !since || !seen) return std::nullopt;
  return Node{*id, *host, *version, *rules, *written, time_of(*since), time_of(*seen)};
}

void Nodes::read(const RedisReply& fields, TimePoint now, const std::string& engine) {
  std::set<std::string> there;
  for (std::size_t i = 0; i + 1 < fields.list.size() && i < 2 * kMax; i += 2) {
    const std::string& name = fields.list[i].text;
    if (name.size() > kMaxWord) continue;
    there.insert(name);
    auto node = node_of_json(fields.list[i + 1].text);
    if (!node) continue;
    node->seen = std::min(node->seen, now + kAlive);  // or it would count for ever
    if (nodes_.size() < kMax || nodes_.contains(name)) nodes_[name] = std::move(*node);
  }
  if (engine == engine_ && fields.list.size() <= 2 * kMax) {
    for (const std::string& name : there_) {
      if (!there.contains(name)) forget(name, now);
    }
  }
  engine_ = engine;
  there_ = std::move(there);
  std::erase_if(nodes_, [&](const auto& node) { return now - node.second.seen > kKept; });
  if (before_until_ == TimePoint{}) before_until_ = now + kCounts;
  if (now >= before_until_) hosts_before_ = 1;
  hosts_ = std::max(seen_in_the_hour(now), hosts_before_);
}

void Nodes::forget(const std::string& name, TimePoint now) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end() || name == self_) return;
  // Those that were seen are then the ones that were known before, and this was one of them.
  const bool was_known =
      now - found->second.seen < kCounts && seen_in_the_hour(now) <= hosts_before_;
  if (was_known) --hosts_before_;
  nodes_.erase(found);
}

// With this one.
std::size_t Nodes::seen_in_the_hour(TimePoint now) const {
  const auto others = std::count_if(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
    return entry.first != self_ && now - entry.second.seen < kCounts;
  });
  return 1 + static_cast<std::size_t>(others);
}

void Nodes::shared(TimePoint now) {
  shared_.clear();
  for (const auto& [name, node] : nodes_) {
    if (now - node.seen < kAlive) shared_.insert(name);
  }
}

const Node* Nodes::namesake(const Node& own, TimePoint now) const {
  const auto found = nodes_.find(self_);
  if (found == nodes_.end()) return nullptr;
  const Node& node = found->second;
  if (node.id == own.id || now - node.seen >= kAlive) return nullptr;
  return std::tie(node.since, node.id) < std::tie(own.since, own.id) ? &node : nullptr;
}

bool Nodes::all_have(const std::string& written, TimePoint now) const {
  if (seen_in_the_hour(now) < hosts_before_) return false;
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
    const auto& [name, node] = entry;
    const bool awaited = now - node.seen < kAlive || shared_.contains(name);
    return name == self_ || !awaited || node.written == written;
  });
}

std::vector<std::string> Nodes::outdated(TimePoint now) const {
  std::vector<std::string> names;
  for (const auto& [name, node] : nodes_) {
    if (name != self_ && now - node.seen > kKept - kAlive) names.push_back(name);
  }
  return names;
}

}  // namespace policyd
