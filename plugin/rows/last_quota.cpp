// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/last_quota.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

bool owns(const StoredLimit& limit, std::int64_t quota) {
  return std::any_of(limit.rates.begin(), limit.rates.end(),
                     [&](const StoredRate& rate) { return rate.quota_id == quota; });
}

void add_once(std::vector<std::int64_t>& ids, std::int64_t id) {
  if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
}

}  // namespace

Result<std::vector<AskedQuota>> read_order_of_quotas(const Tables& tables) {
  std::vector<AskedQuota> out;
  // Old databases do not have the column.
  const auto used =
      tables.has_row("SELECT 1 FROM pragma_table_info('{p}quotas') WHERE name = 'LastQuota'", {});
  if (!used) return tl::unexpected{used.error()};
  if (!*used) return out;
  // Only 1 ends it.
  const auto ends =
      tables.has_row("SELECT 1 FROM {p}quotas WHERE LastQuota = 1 AND Disabled = 0", {});
  if (!ends) return tl::unexpected{ends.error()};
  if (!*ends) return out;
  const auto done = tables.each(
      "SELECT q.ID, q.PolicyID, q.LastQuota IS 1 FROM {p}quotas q JOIN {p}policies p ON p.ID = "
      "q.PolicyID WHERE p.Disabled = 0 AND q.Disabled = 0 ORDER BY p.Priority, p.ID, q.ID",
      {}, [&](const policyd::sql::Statement& row) {
        out.push_back({row.integer(0), row.integer(1), row.integer(2) != 0});
      });
  if (!done) return tl::unexpected{done.error()};
  const auto first =
      std::find_if(out.begin(), out.end(), [](const auto& quota) { return quota.last; });
  if (first == out.end() || first + 1 == out.end()) out.clear();
  return out;
}

std::vector<std::int64_t> limits_that_end(const std::vector<AskedQuota>& order,
                                          const AllLimits& all, const StoredLimit* before) {
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (before != nullptr && owns(*before, order[i].id)) break;
    if (!order[i].last) continue;
    const StoredLimit* limit = find_limit(all, order[i].id);
    if (limit != nullptr) add_once(out, limit->id);
  }
  return out;
}

std::string end_text(const std::vector<AskedQuota>& order, std::size_t end, const AllLimits& all) {
  std::unordered_map<std::int64_t, const StoredLimit*> limit_of;  // a quota
  for (const StoredLimit& limit : all.limits) {
    for (const StoredRate& rate : limit.rates) limit_of.emplace(rate.quota_id, &limit);
  }
  const StoredLimit* own = limit_of[order[end].id];
  std::vector<std::int64_t> limits;
  std::vector<std::int64_t> own_quotas;
  for (std::size_t i = end + 1; i < order.size(); ++i) {
    const StoredLimit* limit = limit_of[order[i].id];
    if (limit == nullptr) continue;  // no limit
    if (limit == own) {
      add_once(own_quotas, order[i].id);
    } else if (limits.empty() || limits.back() != limit->id) {
      limits.push_back(limit->id);
    }
  }
  std::vector<std::string> after;
  if (!own_quotas.empty()) after.push_back("its own " + with_ids("quota", own_quotas));
  if (!limits.empty()) after.push_back(with_ids("limit", limits));
  const std::string name =
      own == nullptr ? fmt::format("quota {}", order[end].id) : fmt::format("limit {}", own->id);
  if (after.empty()) return name + " ends the check (LastQuota), and no limit comes after it";
  return fmt::format("{} ends the check (LastQuota): {} after it {} the mail that it matches", name,
                     join_with_and(after),
                     of_number(limits.size() + own_quotas.size(), "neither counts nor refuses",
                               "neither count nor refuse"));
}

}  // namespace limits
