// SPDX-License-Identifier: AGPL-3.0-only
// CheckHelo: refuses HELO names that are no names, cannot be resolved or are blacklisted, and
// addresses that use too many names (HRP, HELO randomization prevention). CBPolicyD, "CheckHelo".
//
// While the database is in trouble nothing is known of former names, and only the name itself is
// checked.
#pragma once

#include <string>
#include <string_view>

#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

// The form of a HELO name, as RejectInvalid sees it.
enum class HeloForm : std::uint8_t {
  address,  // bare: 192.0.2.1, 2001:db8::1
  literal,  // [192.0.2.1], [2001:db8::1], [IPv6:2001:db8::1]
  name,     // word characters and `-`, with a dot between
  invalid,
};
HeloForm helo_form(std::string_view helo);

class CheckHelo final : public Module {
 public:
  [[nodiscard]] std::string_view name() const override { return "CheckHelo"; }
  [[nodiscard]] bool uses_tables() const override { return true; }
  [[nodiscard]] LookupWishes wishes(const RcptQuestion& question) const override;
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  Next bad_row(RcptQuestion& question, const std::string& which, std::string_view why);
  Next check_history(RcptQuestion& question, const CheckHeloRow& row, const std::string& address);

  RowErrors errors_;
};

}  // namespace policyd
