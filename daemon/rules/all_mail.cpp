// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/all_mail.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

namespace policyd {
namespace {

using Kind = RowProblem::Kind;
using RowId = std::pair<std::string_view, std::int64_t>;  // table and ID

struct ModuleOf {
  std::string_view table;
  std::string_view module;
};
constexpr std::array kModules = {
    ModuleOf{"access_control", "AccessControl"},
    ModuleOf{"checkhelo", "CheckHelo"},
    ModuleOf{"checkhelo_whitelist", "CheckHelo"},
    ModuleOf{"greylisting", "Greylisting"},
    ModuleOf{"quotas", "Quotas"},
    ModuleOf{"quotas_limits", "Quotas"},
    ModuleOf{"accounting", "Accounting"},
};

bool is_positive(const Quota& quota) {
  return std::all_of(quota.limits.begin(), quota.limits.end(),
                     [](const QuotaLimit& limit) { return limit.counter_limit > 0; });
}

// Rows of a module that are reached by all mail of a policy, in its order.
class Reached {
 public:
  void add(const Policy& policy) {
    if (!policy.access_control.empty()) {
      rows_.emplace("access_control", policy.access_control.front().id);
    }
    for (const CheckHeloRow& row : policy.check_helo) merged_.emplace("checkhelo", row.id);
    for (const GreylistingRow& row : policy.greylisting) merged_.emplace("greylisting", row.id);
    // They are merged: the last one gives the Track.
    if (!policy.greylisting.empty()) greylisting_ = policy.greylisting.back().id;
    helo_ = helo_ || !policy.check_helo.empty();
    for (const Quota& quota : policy.quotas) add(quota);
    for (const AccountingRow& row : policy.accounting) {
      if (accounting_ended_) break;
      rows_.emplace("accounting", row.id);
      accounting_ended_ = row.last;
    }
  }

  [[nodiscard]] bool has(const RowProblem& problem) const {
    if (problem.table == "checkhelo_whitelist") return helo_;
    if (problem.column == "Track" && problem.table == "greylisting") {
      return problem.id == greylisting_;
    }
    // Of those the problem itself says whether mail is deferred.
    if (problem.kind == Kind::missing) return merged_.contains({problem.table, problem.id});
    return rows_.contains({problem.table, problem.id});
  }

 private:
  void add(const Quota& quota) {
    if (quotas_ended_) return;
    rows_.emplace("quotas", quota.id);
    for (const QuotaLimit& limit : quota.limits) rows_.emplace("quotas_limits", limit.id);
    quotas_ended_ = quota.last && quota.track && is_positive(quota);
  }

  std::set<RowId> rows_;
  std::set<RowId> merged_;
  std::int64_t greylisting_ = 0;
  bool helo_ = false;
  bool quotas_ended_ = false;
  bool accounting_ended_ = false;
};

bool begins_with_method(std::string_view source) {
  constexpr std::string_view kMethod = "senderip:";
  return std::equal(
      kMethod.begin(), kMethod.end(), source.begin(),
      source.begin() + static_cast<std::ptrdiff_t>(std::min(source.size(), kMethod.size())),
      [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

// Whether a row with this problem has its mail refused, rather than decided in another way than
// meant. The problems of columns that are numbers are those of numbers that are 0 then.
bool refuses(const RowProblem& problem) {
  switch (problem.kind) {
    case Kind::missing:
    case Kind::not_positive:
      return true;
    case Kind::below_one:
      return !problem.other.empty();
    case Kind::unfit_data:
      return problem.table == "access_control";
    case Kind::invalid_value:
      if (problem.table == "checkhelo_whitelist") return !begins_with_method(problem.value);
      if (problem.table == "access_control") return problem.column == "Verdict";
      return problem.column == "Track" || problem.column == "AccountingPeriod" ||
             problem.column == "CounterLimit";
    case Kind::not_a_number:
      return problem.column == "CounterLimit" &&
             (problem.value.empty() || problem.value.front() < '1' || problem.value.front() > '9');
    default:
      return false;
  }
}

}  // namespace

void mark_rows_that_defer_all_mail(Rules& rules, const std::vector<bool>& for_all) {
  Reached reached;
  for (std::size_t i = 0; i < rules.policies.size(); ++i) {
    if (for_all[i]) reached.add(rules.policies[i]);
  }
  for (RowProblem& problem : rules.problems) {
    problem.all_mail = refuses(problem) && reached.has(problem);
  }
}

bool defers_all_mail(const RowProblem& problem, std::span<const std::string> modules) {
  if (!problem.all_mail) return false;
  const auto* owner = std::find_if(kModules.begin(), kModules.end(), [&](const ModuleOf& each) {
    return each.table == problem.table;
  });
  return owner != kModules.end() &&
         std::find(modules.begin(), modules.end(), owner->module) != modules.end();
}

const RowProblem* all_mail_deferred_by(const Rules& rules, std::span<const std::string> modules) {
  const auto found =
      std::find_if(rules.problems.begin(), rules.problems.end(),
                   [&](const RowProblem& problem) { return defers_all_mail(problem, modules); });
  return found == rules.problems.end() ? nullptr : &*found;
}

std::string describe_all_mail(const RowProblem& problem) {
  return fmt::format("{} by {} {}: {}", describe_all_mail_of(problem), problem.table, problem.id,
                     describe_without_row(problem));
}

}  // namespace policyd
