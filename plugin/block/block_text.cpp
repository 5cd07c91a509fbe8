// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/block_text.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "plugin/cli/typed_advice.hpp"
#include "plugin/terminal/text.hpp"
#include "plugin/usage/headlines.hpp"

namespace limits {

std::string items_text(std::span<const std::string> items) {
  std::vector<std::string> out;
  out.reserve(items.size());
  for (const std::string& item : items) {
    const bool login = item.starts_with('$');
    const char* noun = login ? "login" : item.find('@') != std::string::npos ? "sender" : "client";
    out.push_back(fmt::format("{} {}", noun, escaped(login ? item.substr(1) : item)));
  }
  return join_with_and(out);
}

std::string names_text(std::span<const StoredBlock> blocks) {
  std::vector<std::string> out;
  for (const StoredBlock& each : blocks) out.push_back(escaped(each.block.who));
  return join_with_and(out);
}

std::string kept_text(std::span<const StoredBlock> blocks) {
  return fmt::format("Blocks stay as they were: {}.", names_text(blocks));
}

std::string until_text(const policyd::Block& block) {
  if (!block.until) return "until unblocked";
  return "until " + local_time_text(*block.until);
}

std::string unblock_command(const policyd::Block& block, std::string_view options) {
  return command_about("unblock", block.who, options);
}

std::string_view state_text(const StoredBlock& block, policyd::TimePoint now) {
  const bool locked = !block.block.account.empty();
  if (block.is_over(now)) return locked ? "over, account still locked" : "over";
  if (!block.in_force(now)) return "not in force";
  if (block.holds()) return "holds mail";
  return locked ? "in force, account locked" : "in force";
}

nlohmann::json json_of(const StoredBlock& block, policyd::TimePoint now) {
  const auto& until = block.block.until;
  return {{"who", block.block.who},
          {"since", policyd::to_seconds(block.block.since)},
          {"until", until ? nlohmann::json(policyd::to_seconds(*until)) : nlohmann::json(nullptr)},
          {"by", block.block.by},
          {"items", block.items},
          {"account", block.block.account},
          {"in_force", block.in_force(now)},
          {"holds", block.holds()},
          {"undo", unblock_command(block.block)}};
}

}  // namespace limits
