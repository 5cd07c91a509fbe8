// SPDX-License-Identifier: AGPL-3.0-only
// What doctor says about each kind of RowProblem, for rows.cpp and lists.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "plugin/doctor/checks.hpp"

namespace limits {

Problem problem_of(const policyd::RowProblem& problem);
std::string consequence(const RuleRows& rows, const policyd::RowProblem& problem);
// A Source, Destination or Member.
bool is_list(const policyd::RowProblem& problem);
// What its value was evidently meant to be, except for lists.
std::optional<std::string> evident_value(const policyd::RowProblem& problem);

std::string update_of(const RuleRows& rows, const policyd::RowProblem& problem,
                      std::string_view column, std::string_view value);
// A statement for the admin to complete.
Fix say_what_is_meant(const RuleRows& rows, const policyd::RowProblem& problem);

// The row of policy_group_members has to go; but where it is all that its group has, the admin says
// who is meant, since the group would be empty.
std::string delete_member(const RuleRows& rows, std::int64_t id);
std::optional<Fix> fix_for_only_member(const RuleRows& rows, std::int64_t id);

}  // namespace limits
