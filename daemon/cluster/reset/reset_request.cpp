// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/reset/reset_request.hpp"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "daemon/base/ascii.hpp"
#include "daemon/cluster/count/count_call.hpp"
#include "daemon/counting/window.hpp"

namespace policyd {
namespace {

constexpr std::string_view kAtOnce = "16";  // entries read by a command
constexpr std::string_view kClear = "clear";
constexpr std::string_view kForget = "forget";

// KEYS: the hash of the MTAs, and counters. ARGV: this MTA. Removes the fields of MTAs that are no
// longer in the cluster: nobody else does. Returns how many counters had some.
constexpr std::string_view kClearGone = R"(
local cleared = 0
for i = 2, #KEYS do
  local fields, gone = redis.pcall('HGETALL', KEYS[i]), 0
  for f = 1, #fields, 2 do
    if fields[f] ~= ARGV[1] and redis.call('HEXISTS', KEYS[1], fields[f]) == 0 then
      gone = gone + redis.call('HDEL', KEYS[i], fields[f])
    end
  end
  if gone > 0 then cleared = cleared + 1 end
end
return cleared
)";

std::optional<std::vector<std::int64_t>> ids_of(std::string_view text) {
  std::vector<std::int64_t> ids;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const auto id = parse_number<std::int64_t>(text.substr(0, end));
    if (!id || ids.size() == kMaxResetLimits) return std::nullopt;
    ids.push_back(*id);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return ids;
}

// Of an entry: name, value, name, value...
std::optional<ResetRequest> request_of(const RedisReply& fields) {
  if (fields.kind != RedisReply::Kind::list || fields.list.size() % 2 != 0) return std::nullopt;
  ResetRequest request;
  bool has_kind = false;
  for (std::size_t i = 0; i < fields.list.size(); i += 2) {
    const std::string& name = fields.list[i].text;
    const std::string& value = fields.list[i + 1].text;
    if (name == "kind") {
      has_kind = value == kClear || value == kForget;
      request.kind = value == kForget ? ResetRequest::Kind::forget : ResetRequest::Kind::clear;
    } else if (name == "limits") {
      auto ids = ids_of(value);
      if (!ids) return std::nullopt;
      request.limit_ids = std::move(*ids);
    } else if (name == "key") {
      const bool fits = value.size() <= kMaxResetKeyBytes && request.keys.size() < kMaxResetKeys;
      if (!fits || value.empty()) return std::nullopt;
      request.keys.push_back(value);
    }
  }
  if (!has_kind) return std::nullopt;
  if (request.kind == ResetRequest::Kind::forget) return ResetRequest{request.kind, {}, {}};
  return request;
}

}  // namespace

std::optional<ResetId> ResetId::parse(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto ms = parse_number<std::uint64_t>(text.substr(0, dash));
  const auto number = parse_number<std::uint64_t>(text.substr(dash + 1));
  if (!ms || !number) return std::nullopt;
  return ResetId{*ms, *number};
}

std::string ResetId::to_string() const { return fmt::format("{}-{}", ms, number); }

ResetId ResetId::next() const {
  if (number < std::numeric_limits<std::uint64_t>::max()) return {ms, number + 1};
  return {ms + 1, 0};
}

TimePoint ResetId::time() const {
  return TimePoint{Millis{static_cast<std::int64_t>(std::min(ms, Window::kMaxUnits))}};
}

std::string resets_key(const std::string& prefix) { return prefix + "resets"; }

std::string resets_done_key(const std::string& prefix, const ResetId& id) {
  return fmt::format("{}resets:done:{}", prefix, id.to_string());
}

std::vector<std::string> words_to_add(const std::string& prefix, const ResetRequest& request) {
  std::vector<std::string> words = {
      "XADD", resets_key(prefix), "MAXLEN", std::to_string(kMaxResets), "*", "kind"};
  if (request.kind == ResetRequest::Kind::forget) {
    words.emplace_back(kForget);
    return words;
  }
  words.emplace_back(kClear);
  words.emplace_back("limits");
  words.push_back(fmt::format("{}", fmt::join(request.limit_ids, " ")));
  for (const std::string& key : request.keys) {
    words.emplace_back("key");
    words.push_back(key);
  }
  return words;
}

std::vector<std::string> words_to_read(const std::string& prefix, const ResetId& after) {
  return {"XRANGE", resets_key(prefix),  after.next().to_string(), "+",
          "COUNT",  std::string{kAtOnce}};
}

std::vector<std::string> words_to_clear_gone(const std::string& prefix, const std::string& node,
                                             const std::vector<std::string>& counters) {
  const CountNames names{prefix, node, {}};
  std::vector<std::string> words = {"EVAL", std::string{kClearGone},
                                    std::to_string(1 + counters.size()), names.nodes_key()};
  for (const std::string& counter : counters) words.push_back(names.counter_key(counter));
  words.push_back(node);
  return words;
}

Result<ReadResets> resets_of(const RedisReply& reply) {
  const auto strange = [] { return failure("it is not a list of resets"); };
  if (reply.kind != RedisReply::Kind::list) return strange();
  ReadResets read;
  for (const RedisReply& entry : reply.list) {
    if (entry.list.size() != 2) return strange();
    const auto id = ResetId::parse(entry.list[0].text);
    if (!id || *id < read.last) return strange();
    read.last = *id;
    if (auto request = request_of(entry.list[1])) {
      read.entries.push_back({*id, std::move(*request)});
    } else {
      ++read.strange;
    }
  }
  return read;
}

}  // namespace policyd
