// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/block/blocks.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "daemon/base/ip_address.hpp"
#include "plugin/rows/carried.hpp"
#include "plugin/rows/row_changes.hpp"
#include "plugin/rows/surroundings.hpp"

namespace limits {
namespace {

using policyd::Block;

// Before all policies that people write: the first row of access_control decides.
constexpr std::string_view kPriority = "-1000";
constexpr std::string_view kRowName = "block";
constexpr std::string_view kOurs = "Name LIKE 'carbonio-limits block %'";

bool share_a_name(std::span<const std::string> a, std::span<const std::string> b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& one) {
    return std::any_of(b.begin(), b.end(), [&](const std::string& other) {
      return without_dollar(one) == without_dollar(other);
    });
  });
}

Result<void> run_all(const Tables& tables, const std::vector<RowChange>& rows) {
  for (const RowChange& row : rows) {
    if (auto done = tables.each(row.statement(), row.values, [](const auto&) {}); !done) {
      return done;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<StoredBlock>> read_blocks(const Tables& tables) {
  std::vector<StoredBlock> out;
  for (const char* table : {"access_control", "policies", "policy_members"}) {
    if (!tables.has_table(table)) return out;
  }
  std::unordered_map<std::int64_t, std::size_t> by_policy;
  auto done = tables.each(
      fmt::format("SELECT a.ID, p.ID, p.Name, a.Comment, p.Disabled IS 0 AND a.Disabled IS 0 AND "
                  "upper(a.Verdict) IN ('REJECT', 'HOLD', 'DISCARD'), upper(a.Verdict), a.Data "
                  "FROM {{p}}policies p JOIN "
                  "{{p}}access_control a ON a.PolicyID = p.ID WHERE p.{} ORDER BY p.ID, a.ID",
                  kOurs),
      {}, [&](const policyd::sql::Statement& row) {
        auto block = Block::parse(row.text(2), row.text(3));
        if (!block || !by_policy.emplace(row.integer(1), out.size()).second) return;
        out.push_back({row.integer(1),
                       row.integer(0),
                       std::move(*block),
                       row.integer(4) != 0,
                       std::string{row.text(5)},
                       std::string{row.text(6)},
                       {}});
      });
  if (!done) return tl::unexpected{done.error()};
  done = tables.each(
      fmt::format("SELECT m.PolicyID, m.Source FROM {{p}}policies p JOIN {{p}}policy_members m ON "
                  "m.PolicyID = p.ID WHERE p.{} AND m.Disabled IS 0 AND m.Source IS NOT NULL ORDER "
                  "BY m.ID",
                  kOurs),
      {}, [&](const policyd::sql::Statement& row) {
        const auto found = by_policy.find(row.integer(0));
        if (found != by_policy.end()) out[found->second].items.emplace_back(row.text(1));
      });
  if (!done) return tl::unexpected{done.error()};
  return out;
}

std::vector<StoredBlock> blocks_of(std::span<const StoredBlock> blocks, const Target& whom,
                                   std::span<const std::string> items) {
  std::vector<StoredBlock> out;
  std::copy_if(blocks.begin(), blocks.end(), std::back_inserter(out), [&](const StoredBlock& each) {
    return each.block.who == whom.name || share_a_name(each.items, items);
  });
  return out;
}

Result<std::vector<RowChange>> rows_of_block(const Tables& tables, const Block& block,
                                             std::string_view verdict, std::string_view data,
                                             std::span<const std::string> items) {
  auto around = read_surroundings(tables);
  if (!around) return tl::unexpected{around.error()};
  CarriedPolicy policy;
  policy.rows.push_back({"policies",
                         {{"Name", block.policy_name()},
                          {"Priority", std::string{kPriority}},
                          {"Description", "Blocked by carbonio-limits"}}});
  for (const std::string& item : items) {
    policy.rows.push_back({"policy_members", {{"Source", item}, {"Destination", "any"}}});
  }
  policy.rows.push_back({"access_control",
                         {{"Name", std::string{kRowName}},
                          {"Verdict", std::string{verdict}},
                          {"Data", std::string{data}},
                          {"Comment", block.comment()}}});
  RowChanges changes{std::move(around->ids)};
  changes.insert_policy(policy);
  return std::move(changes).take();
}

std::string_view data_of_block(const Target& whom) {
  return whom.who == Who::client ? Block::kClientText : Block::kAccountText;
}

std::vector<RowChange> rows_to_delete(std::span<const StoredBlock> blocks) {
  std::vector<RowChange> out;
  out.reserve(blocks.size() * 3);
  for (const StoredBlock& each : blocks) {
    out.push_back({"DELETE FROM {p}access_control WHERE ID = ?", {each.row_id}});
    out.push_back({"DELETE FROM {p}policy_members WHERE PolicyID = ?", {each.policy_id}});
    out.push_back({"DELETE FROM {p}policies WHERE ID = ?", {each.policy_id}});
  }
  return out;
}

std::vector<RowChange> rows_to_end(const StoredBlock& block, policyd::TimePoint now) {
  Block ended = block.block;
  ended.until = std::chrono::floor<std::chrono::seconds>(now);
  return {{"UPDATE {p}policies SET Name = ?, Disabled = 1 WHERE ID = ?",
           {ended.policy_name(), block.policy_id}}};
}

Result<std::vector<StoredBlock>> replace_blocks(const Tables& tables,
                                                std::span<const StoredBlock> blocks) {
  auto before = read_blocks(tables);
  if (!before) return before;
  auto done = run_all(tables, rows_to_delete(*before));
  for (const StoredBlock& each : blocks) {
    // One by one: the IDs of new rows follow those that are there.
    auto rows = rows_of_block(tables, each.block, each.verdict, each.data, each.items);
    if (!rows) return tl::unexpected{rows.error()};
    if (!each.enabled) {
      rows->push_back(
          {"UPDATE {p}policies SET Disabled = 1 WHERE Name = ?", {each.block.policy_name()}});
    }
    if (done) done = run_all(tables, *rows);
  }
  if (!done) return tl::unexpected{done.error()};
  return before;
}

std::vector<StoredBlock> blocks_around(std::span<const StoredBlock> blocks, const Target& client) {
  std::vector<StoredBlock> out;
  const auto inner = policyd::IpNetwork::parse(client.name);
  if (client.who != Who::client || !inner) return out;
  std::copy_if(blocks.begin(), blocks.end(), std::back_inserter(out), [&](const StoredBlock& each) {
    return std::any_of(each.items.begin(), each.items.end(), [&](const std::string& item) {
      const auto outer = policyd::IpNetwork::parse(item);
      return outer && outer->length < inner->length && outer->contains(inner->address);
    });
  });
  return out;
}

policyd::Event event_about(policyd::EventKind kind, const Block& block) {
  policyd::Event event;
  event.kind = kind;
  event.module = "AccessControl";
  const std::string_view name = block.who;
  const auto network = policyd::IpNetwork::parse(name);
  // A login may be a number, too.
  if (network && policyd::IpAddress::parse(name.substr(0, name.find('/')))) {
    event.track_key = fmt::format("SenderIP:{}/{}", network->address.to_string(), network->length);
  } else if (name.find('@') == std::string_view::npos) {
    event.track_key = fmt::format("SASLUsername:{}", name);
    event.login = block.who;
  } else {
    event.track_key = fmt::format("Sender:{}", name);
    event.sender = event.login = block.who;
  }
  return event;
}

std::vector<policyd::Event> events_about(policyd::EventKind kind, const StoredBlock& block,
                                         const std::string& login_domain) {
  std::vector<policyd::Event> out;
  std::set<std::string> known;
  const auto add = [&](std::string_view name) {
    std::string whole{name};
    if (name.find('@') == std::string_view::npos && !login_domain.empty()) {
      whole += "@" + login_domain;
    }
    if (!known.insert(std::move(whole)).second) return;
    Block one = block.block;
    one.who = name;
    out.push_back(event_about(kind, one));
  };
  add(block.block.who);
  for (const std::string& item : block.items) add(without_dollar(item));
  return out;
}

policyd::Event event_of_end(const Block& block) {
  policyd::Event event = event_about(policyd::EventKind::released, block);
  event.verdict = "over";
  return event;
}

}  // namespace limits
