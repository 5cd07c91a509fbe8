// SPDX-License-Identifier: AGPL-3.0-only
// AccessControl: a fixed answer for the mail a policy matches. CBPolicyD, "AccessControl". Only the
// first enabled row of each policy counts. Stores nothing. Blocks (block.hpp) are rows of the same
// table; they hold without the module, too, before all others, and in a pause.
#pragma once

#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

class AccessControl final : public Module {
 public:
  // `check_data`: a REDIRECT or FILTER that Postfix would ignore for its Data is answered DEFER;
  // otherwise as it stands, like the Perl daemon does.
  explicit AccessControl(bool check_data = true) : check_data_(check_data) {}

  [[nodiscard]] std::string_view name() const override { return "AccessControl"; }
  [[nodiscard]] bool decides_what_counts() const override { return true; }
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  bool check_data_;
  RowErrors errors_;
};

// The row of the first block of these policies that is not over; null if there is none.
const AccessControlRow* block_in_force(const Rules& rules, std::span<const std::uint32_t> policies,
                                       TimePoint now);
// Gives its answer and the log line of AccessControl.
void refuse_blocked(RcptQuestion& question, const AccessControlRow& row);

}  // namespace policyd
