// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/rules/row_advice.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "plugin/doctor/evident/evident_values.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

using policyd::RowProblem;
using Kind = RowProblem::Kind;

struct RowAdvice {
  std::string_view name;  // of the Problem
  Kind kind;
  std::string_view table;
  std::string_view column;                                  // empty: any
  std::optional<std::string> (*evident)(std::string_view);  // null: takes guessing
};

// Of a switch that defers all mail of its policy where the columns it needs are not set.
std::optional<std::string> evident_if_off(std::string_view text) {
  auto value = evident_switch(text);
  return value == "0" ? value : std::nullopt;
}

constexpr std::array kAdvice = {
    RowAdvice{"rows.policies.priority", Kind::not_a_number, "policies", "Priority", evident_number},
    RowAdvice{"rows.quotas.track", Kind::invalid_value, "quotas", "Track", evident_track},
    RowAdvice{"rows.quotas.verdict", Kind::invalid_value, "quotas", "Verdict",
              evident_limit_verdict},
    RowAdvice{"rows.quotas.period", Kind::not_a_number, "quotas", "Period", evident_seconds},
    RowAdvice{"rows.quotas.no_period", Kind::not_positive, "quotas", "Period", nullptr},
    RowAdvice{"rows.quotas_limits.type", Kind::invalid_value, "quotas_limits", "Type",
              evident_limit_type},
    RowAdvice{"rows.quotas_limits.counter_limit", Kind::not_a_number, "quotas_limits",
              "CounterLimit", evident_number},
    RowAdvice{"rows.quotas_limits.counter_limit", Kind::invalid_value, "quotas_limits",
              "CounterLimit", nullptr},
    RowAdvice{"rows.quotas_limits.no_counter_limit", Kind::not_positive, "quotas_limits",
              "CounterLimit", nullptr},
    RowAdvice{"rows.quotas_limits.below_one", Kind::below_one, "quotas_limits", "CounterLimit",
              nullptr},
    RowAdvice{"rows.accounting.track", Kind::invalid_value, "accounting", "Track", evident_track},
    RowAdvice{"rows.accounting.verdict", Kind::invalid_value, "accounting", "Verdict",
              evident_limit_verdict},
    RowAdvice{"rows.accounting.period", Kind::invalid_value, "accounting", "AccountingPeriod",
              evident_accounting_period},
    RowAdvice{"rows.accounting.number", Kind::not_a_number, "accounting", "", evident_number},
    RowAdvice{"rows.access_control.verdict", Kind::invalid_value, "access_control", "Verdict",
              evident_access_verdict},
    RowAdvice{"rows.checkhelo.number", Kind::not_a_number, "checkhelo", "BlacklistPeriod",
              evident_seconds},
    RowAdvice{"rows.checkhelo.number", Kind::not_a_number, "checkhelo", "HRPPeriod",
              evident_seconds},
    RowAdvice{"rows.checkhelo.number", Kind::not_a_number, "checkhelo", "HRPLimit", evident_number},
    RowAdvice{"rows.checkhelo.number", Kind::not_a_number, "checkhelo", "UseHRP", evident_if_off},
    RowAdvice{"rows.checkhelo.number", Kind::not_a_number, "checkhelo", "", evident_switch},
    RowAdvice{"rows.checkspf.number", Kind::not_a_number, "checkspf", "", evident_switch},
    RowAdvice{"rows.greylisting.number", Kind::not_a_number, "greylisting", "UseGreylisting",
              evident_switch},
    RowAdvice{"rows.greylisting.number", Kind::not_a_number, "greylisting", "UseAutoWhitelist",
              evident_if_off},
    RowAdvice{"rows.greylisting.number", Kind::not_a_number, "greylisting", "UseAutoBlacklist",
              evident_if_off},
    RowAdvice{"rows.greylisting.number", Kind::not_a_number, "greylisting", "", evident_seconds},
    RowAdvice{"rows.greylisting.track", Kind::invalid_value, "greylisting", "Track",
              evident_client_track},
    RowAdvice{"rows.checkhelo_whitelist.source", Kind::invalid_value, "checkhelo_whitelist",
              "Source", evident_whitelist_source},
    RowAdvice{"rows.greylisting_whitelist.source", Kind::invalid_value, "greylisting_whitelist",
              "Source", evident_whitelist_source},
    RowAdvice{"rows.unfit_data", Kind::unfit_data, "", "Data", nullptr},
    RowAdvice{"rows.too_long", Kind::too_long, "", "", nullptr},
    RowAdvice{"rows.missing", Kind::missing, "", "", nullptr},
    RowAdvice{"rows.missing_for_some", Kind::missing_for_some, "", "", nullptr},
    RowAdvice{"rows.broken_group", Kind::broken_group, "", "", nullptr},
    // Items of policy_members and policy_group_members.
    RowAdvice{"rows.line_break", Kind::line_break, "", "", nullptr},
    RowAdvice{"rows.empty_item", Kind::empty_item, "", "", nullptr},
    RowAdvice{"rows.empty_list", Kind::empty_list, "", "", nullptr},
    RowAdvice{"rows.invalid_network", Kind::invalid_network, "", "", nullptr},
    RowAdvice{"rows.long_prefix", Kind::long_prefix, "", "", nullptr},
    RowAdvice{"rows.mapped_network", Kind::mapped_network, "", "", nullptr},
    RowAdvice{"rows.unknown_item", Kind::unknown_item, "", "", nullptr},
    RowAdvice{"rows.no_address", Kind::no_address, "", "", nullptr},
    RowAdvice{"rows.never_together", Kind::never_together, "", "", nullptr},
    RowAdvice{"rows.unknown_group", Kind::unknown_group, "", "", nullptr},
    RowAdvice{"rows.empty_member", Kind::empty_member, "", "", nullptr},
};

const RowAdvice* advice_on(const RowProblem& problem) {
  const auto* found = std::find_if(kAdvice.begin(), kAdvice.end(), [&](const RowAdvice& each) {
    return each.kind == problem.kind && (each.table.empty() || each.table == problem.table) &&
           (each.column.empty() || each.column == problem.column);
  });
  return found == kAdvice.end() ? nullptr : found;
}

// Whether it is an item with '!' that lets all mail match.
bool leaves_out_nothing(const RowProblem& problem) {
  return problem.value.starts_with('!') &&
         (problem.kind == Kind::unknown_item || problem.kind == Kind::no_address ||
          problem.kind == Kind::unknown_group || problem.kind == Kind::mapped_network);
}

// What a fault of this group, or of one that no limit names, does to the limits.
std::string consequence_of_group(const RuleRows& rows, std::string_view group) {
  std::vector<std::int64_t> limits;
  for (const StoredLimit& limit : rows.all.limits) {
    const bool named = !group.empty() && limit.broken_group == group;
    if (limit.partly_enabled() && named) limits.push_back(limit.id);
  }
  if (limits.empty()) return "the group does not contain everyone it should";
  return fmt::format("{} {} for no one: a list that this group makes invalid matches no mail",
                     with_ids("limit", limits), of_number(limits.size(), "holds", "hold"));
}

// The group whose fault this row is; empty if it is none.
std::string group_with_fault(const RuleRows& rows, const RowProblem& problem) {
  if (problem.kind == Kind::broken_group) return problem.value;
  for (const auto* faults : {&rows.all.faults.sources, &rows.all.faults.destinations}) {
    const auto found = std::find_if(faults->begin(), faults->end(), [&](const auto& each) {
      return each.second.member == problem.id;
    });
    if (found != faults->end()) return found->second.group;
  }
  return {};
}

std::string_view consequence_of_row(const RowProblem& problem) {
  switch (problem.kind) {
    case Kind::missing:
    case Kind::missing_for_some:
      return "all mail of its policy is deferred";
    case Kind::below_one:
      return problem.other.empty() ? "the limit only monitors, and notes all mail of its policy"
                                   : "all mail of its policy gets the verdict of the limit";
    case Kind::unfit_data:
      return "Postfix ignores such a verdict, so mail it applies to is deferred instead (with "
             "algorithm=decay it passes)";
    case Kind::too_long:
      return "people read only the beginning of the text";
    case Kind::not_a_number:
      return "a text counts as the number it begins with, or as 0";
    default:
      break;
  }
  if (problem.table == "policy_members" && leaves_out_nothing(problem)) {
    return "the policy also matches the mail that this is meant to leave out";
  }
  if (problem.table == "policy_members") {
    return "the policy does not match the mail it is meant for";
  }
  if (problem.table == "quotas_limits") {
    return "it limits nothing, or defers all mail of its policy";
  }
  if (problem.column == "Source") {
    const bool method = lower_cased(problem.value).starts_with("senderip:");
    return problem.table == "checkhelo_whitelist" && !method
               ? "CheckHelo defers all mail it checks"
               : "the client it names is not whitelisted";
  }
  return "mail it applies to is deferred, or not limited";
}

}  // namespace

Problem problem_of(const RowProblem& problem) {
  const RowAdvice* found = advice_on(problem);
  return {"rules.rows", found == nullptr ? std::string_view{"rows.unknown"} : found->name};
}

bool is_list(const RowProblem& problem) {
  return problem.table == "policy_members" || problem.table == "policy_group_members";
}

std::string consequence(const RuleRows& rows, const RowProblem& problem) {
  if (problem.table == "policy_group_members" || problem.kind == Kind::broken_group) {
    return consequence_of_group(rows, group_with_fault(rows, problem));
  }
  return std::string{consequence_of_row(problem)};
}

std::string update_of(const RuleRows& rows, const RowProblem& problem, std::string_view column,
                      std::string_view value) {
  return fmt::format("UPDATE {} SET {} = {} WHERE ID = {}", rows.table(problem.table), column,
                     value, problem.id);
}

// For the admin to complete.
Fix say_what_is_meant(const RuleRows& rows, const RowProblem& problem) {
  return advice(
      "put what you mean in place of VALUE: " +
      sqlite_command(rows.question, {update_of(rows, problem, problem.column, "'VALUE'")}));
}

std::string delete_member(const RuleRows& rows, std::int64_t id) {
  return fmt::format("DELETE FROM {} WHERE ID = {}", rows.table("policy_group_members"), id);
}

std::optional<Fix> fix_for_only_member(const RuleRows& rows, std::int64_t id) {
  const bool only = rows.tables
                        .has_row(
                            "SELECT 1 FROM {p}policy_group_members m WHERE ID = ? AND Member <> '' "
                            "AND NOT EXISTS "
                            "(SELECT 1 FROM {p}policy_group_members o WHERE o.PolicyGroupID = "
                            "m.PolicyGroupID AND "
                            "o.ID <> m.ID AND o.Disabled = 0 AND o.Member <> '')",
                            {id})
                        .value_or(false);
  if (!only) return std::nullopt;
  RowProblem member;
  member.table = "policy_group_members";
  member.id = id;
  member.column = "Member";
  return say_what_is_meant(rows, member);
}

std::optional<std::string> evident_value(const RowProblem& problem) {
  const RowAdvice* found = advice_on(problem);
  if (found == nullptr || found->evident == nullptr) return std::nullopt;
  return found->evident(problem.value);
}

}  // namespace limits
