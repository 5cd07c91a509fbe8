// SPDX-License-Identifier: AGPL-3.0-only
// Rows that nobody can use, on a policy that matches all mail: each such row alone has the daemon
// defer the mail of everybody, as in CBPolicyD; and limits that no mail is within. Found when the
// rules are read, for the log, the status, `list` and `doctor`. Pure functions; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "daemon/rules/rules.hpp"

namespace policyd {

// Sets `all_mail` of the problems whose row refuses all mail. `for_all`, by index in
// rules.policies: policies that match all mail.
void mark_rows_that_defer_all_mail(Rules& rules, const std::vector<bool>& for_all);

// Whether the row of this problem does so now: its module is among `modules` (names as Module::name
// returns them, and as the status file has them).
[[nodiscard]] bool defers_all_mail(const RowProblem& problem, std::span<const std::string> modules);
// The first such row; null if there is none.
[[nodiscard]] const RowProblem* all_mail_deferred_by(const Rules& rules,
                                                     std::span<const std::string> modules);

// "ALL MAIL IS DEFERRED by quotas 3: 'x' is not a valid Track; use ..."
[[nodiscard]] std::string describe_all_mail(const RowProblem& problem);

}  // namespace policyd
