// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/rows/plan_entry.hpp"

#include <set>
#include <unordered_map>

namespace limits {
namespace {

std::size_t quotas_of(const StoredLimit& limit) {
  std::set<std::int64_t> quotas;
  for (const StoredRate& rate : limit.rates) quotas.insert(rate.quota_id);
  return quotas.size();
}

std::size_t quotas_in(const Surroundings& around, std::int64_t policy) {
  const auto found = around.quotas_of_policy.find(policy);
  return found == around.quotas_of_policy.end() ? 0 : found->second;
}

}  // namespace

bool is_shared(const PlanEntry& entry, const Surroundings& around) {
  if (entry.before == nullptr) return false;
  const std::int64_t policy = entry.before->policy_id;
  return quotas_in(around, policy) > quotas_of(*entry.before) ||
         around.policies_of_modules.contains(policy);
}

std::vector<const PlanEntry*> last_of_policies(const std::vector<PlanEntry>& entries,
                                               const Surroundings& around) {
  struct Policy {
    std::size_t deleted = 0;
    const PlanEntry* entry = nullptr;
  };
  std::unordered_map<std::int64_t, Policy> policies;
  std::vector<const PlanEntry*> out;
  for (const PlanEntry& entry : entries) {
    if (!entry.gone) continue;
    const std::int64_t id = entry.before->policy_id;
    Policy& policy = policies[id];
    policy.deleted += quotas_of(*entry.before);
    if (policy.deleted == quotas_in(around, id) && !around.policies_of_modules.contains(id)) {
      out.push_back(&entry);
    }
  }
  return out;
}

}  // namespace limits
