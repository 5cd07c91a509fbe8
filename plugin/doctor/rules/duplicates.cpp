// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: rows that are there twice, and figures that never apply beside others of one limit.
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "daemon/base/shell_words.hpp"
#include "daemon/rules/rules.hpp"
#include "plugin/doctor/checks.hpp"
#include "plugin/limit/rate_spec.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::sql::Statement;

// Rows with equal `columns` among the enabled ones: all but the first are superfluous.
void check_equal_members(const RuleRows& rows, std::string_view table, std::string_view owner,
                         const std::string& columns, Findings& findings) {
  rows.tables.each(
      fmt::format("SELECT {1}, min(ID), group_concat(ID, ', ') FROM {{p}}{0} WHERE Disabled = 0 "
                  "GROUP BY {1}, {2} HAVING count(*) > 1 ORDER BY min(ID) LIMIT 100",
                  table, owner, columns),
      {}, [&](const Statement& row) {
        std::vector<std::string> ids;
        for (const std::string_view id : split(row.text(2), ',')) {
          ids.emplace_back(id.substr(id.find_first_not_of(' ')));
        }
        std::sort(ids.begin(), ids.end(), [](const auto& a, const auto& b) {
          return a.size() != b.size() ? a.size() < b.size() : a < b;
        });
        const std::vector<std::string> others{ids.begin() + 1, ids.end()};
        findings.wrong(problem::kEqualMembers,
                       fmt::format("{} {} are equal", table, join_with_and(ids)),
                       "a change to one of them changes nothing while the others stay",
                       rows.sql({fmt::format("DELETE FROM {} WHERE ID IN ({})", rows.table(table),
                                             fmt::join(others, ", "))}));
      });
}

// Two rows of one Type in a quota: the smaller one decides.
void check_limits_of_quota(const RuleRows& rows, const policyd::Quota& quota, Findings& findings) {
  for (std::size_t unit = 0; unit < kUnits; ++unit) {
    const policyd::LimitType type = type_of(static_cast<Unit>(unit));
    std::vector<const policyd::QuotaLimit*> same;
    for (const policyd::QuotaLimit& limit : quota.limits) {
      if (limit.type == type && limit.counter_limit > 0) same.push_back(&limit);
    }
    if (same.size() < 2) continue;
    std::stable_sort(same.begin(), same.end(), [](const auto* a, const auto* b) {
      return a->counter_limit < b->counter_limit;
    });
    std::vector<std::int64_t> others;
    for (std::size_t i = 1; i < same.size(); ++i) others.push_back(same[i]->id);
    std::sort(others.begin(), others.end());
    findings.wrong(
        problem::kTwoOfAType,
        fmt::format("quota {} has {} limits of one Type; only the smallest, {}, ever applies",
                    quota.id, same.size(), same.front()->counter_limit),
        "what is shown for the others is never reached",
        rows.sql({fmt::format("DELETE FROM {} WHERE QuotasLimitsID IN ({})",
                              rows.table("quotas_tracking"), fmt::join(others, ", ")),
                  fmt::format("DELETE FROM {} WHERE ID IN ({})", rows.table("quotas_limits"),
                              fmt::join(others, ", "))}));
  }
}

// What makes two limits the same, but for their IDs and names.
std::string essence_of(const StoredLimit& limit) {
  std::vector<std::string> members;
  for (const StoredMember& member : limit.members) {
    if (!member.enabled) continue;
    members.push_back(lower_cased(member.text.source.value_or("any")) + "\n" +
                      lower_cased(member.text.destination.value_or("any")));
  }
  std::sort(members.begin(), members.end());
  std::string out =
      fmt::format("{}\n{}\n{}\n{}\n", fmt::join(members, "\n"), lower_cased(limit.track),
                  verdict_word(limit.verdict), format_limit(limit.plain_rates()));
  for (const StoredRate& rate : limit.rates) out += rate.data.value_or("") + "\n";
  return out;
}

void check_equal_limits(const RuleRows& rows, Findings& findings) {
  std::map<std::string, std::int64_t> first;
  for (const StoredLimit& limit : rows.all.limits) {
    if (!limit.enabled()) continue;
    const auto [known, is_new] = first.emplace(essence_of(limit), limit.id);
    if (is_new) continue;
    findings.wrong(problem::kEqualLimits,
                   fmt::format("limit {} is the same as limit {}", limit.id, known->second),
                   "each mail counts in both, and a change to one of them has no effect while the "
                   "other stays",
                   command(fmt::format("carbonio-limits remove {}", limit.id)));
  }
}

// Whether the figures of `other` refuse whatever `rate` would: as much or less in a longer period,
// or so little in a shorter one that all of them together do not reach it.
bool never_reached(const Rate& rate, const Rate& other) {
  if (rate.unit != other.unit || rate.period == other.period) return false;
  if (other.period > rate.period) return other.amount <= rate.amount;
  const std::int64_t periods =
      (rate.period.count() + other.period.count() - 1) / other.period.count();
  return rate.amount / periods >= other.amount;
}

void check_rates(const StoredLimit& limit, Findings& findings) {
  if (!limit.enabled() || verdict_word(limit.verdict) == "none") return;
  const std::vector<Rate> rates = limit.plain_rates();
  std::vector<Rate> kept = rates;
  std::vector<std::string> never;
  for (const Rate& rate : rates) {
    const bool needless = std::any_of(
        rates.begin(), rates.end(), [&](const Rate& other) { return never_reached(rate, other); });
    if (!needless) continue;
    never.push_back(format_rate(rate));
    std::erase(kept, rate);
  }
  if (never.empty() || kept.empty()) return;
  findings.wrong(problem::kNeverReached,
                 fmt::format("limit {}: {} never {}, since {} is reached first", limit.id,
                             join_with_and(never), of_number(never.size(), "applies", "apply"),
                             format_limit(kept)),
                 "the figures look stricter than they are, or were exchanged",
                 command(fmt::format("carbonio-limits set {} {}", limit.id,
                                     policyd::shell_word(format_limit(kept)))));
}

}  // namespace

void check_duplicates(const RuleRows& rows, Findings& findings) {
  check_equal_members(rows, "policy_members", "PolicyID",
                      "lower(ifnull(Source, 'any')), lower(ifnull(Destination, 'any'))", findings);
  check_equal_members(rows, "policy_group_members", "PolicyGroupID", "lower(Member)", findings);
  for (const policyd::Policy& policy : rows.rules.policies) {
    for (const policyd::Quota& quota : policy.quotas) check_limits_of_quota(rows, quota, findings);
  }
  check_equal_limits(rows, findings);
  const bool exact = rows.question.daemon.config.quotas_algorithm == policyd::Algorithm::window;
  for (const StoredLimit& limit : rows.all.limits) {
    if (exact) check_rates(limit, findings);
  }
}

}  // namespace limits
