// SPDX-License-Identifier: AGPL-3.0-only
// CheckHelo: refuses HELO names that are invalid, cannot be resolved or are blacklisted, and
// addresses that use too many names (HRP, HELO randomization prevention). CBPolicyD, "CheckHelo".
//
// While the database is unavailable, earlier names are unknown and only the name itself is checked.
#pragma once

#include <string>
#include <string_view>

#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

// The form of a HELO name, for RejectInvalid.
enum class HeloForm : std::uint8_t {
  address,  // bare: 192.0.2.1, 2001:db8::1
  literal,  // [192.0.2.1], [2001:db8::1], [IPv6:2001:db8::1]
  name,     // labels of word characters and `-`, at least one dot
  invalid,
};
HeloForm helo_form(std::string_view helo);

class CheckHelo final : public Module {
 public:
  [[nodiscard]] std::string_view name() const override { return "CheckHelo"; }
  [[nodiscard]] bool uses_tables() const override { return true; }
  [[nodiscard]] NeededLookups needed_lookups(const RcptQuestion& question) const override;
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  Next refuse_rows(RcptQuestion& question, std::string problem);
  Next check_history(RcptQuestion& question, const CheckHeloRow& row, const std::string& address);

  RowErrors errors_;
};

}  // namespace policyd
