// SPDX-License-Identifier: AGPL-3.0-only
// AccessControl: a fixed answer for the mail a policy matches. CBPolicyD, "AccessControl". Only the
// first enabled row of each policy counts. Stores nothing.
#pragma once

#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

class AccessControl final : public Module {
 public:
  [[nodiscard]] std::string_view name() const override { return "AccessControl"; }
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  RowErrors errors_;
};

}  // namespace policyd
