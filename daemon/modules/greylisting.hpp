// SPDX-License-Identifier: AGPL-3.0-only
// Greylisting: what a host sends to somebody for the first time is deferred, and let through when
// it comes again after a while. CBPolicyD, "Greylisting". Hosts that came again often enough, or
// never, are put on lists of their own by themselves. Rows of all matched policies are merged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/modules/module.hpp"
#include "daemon/modules/row_errors.hpp"

namespace policyd {

class Greylisting final : public Module {
 public:
  struct Settings {
    bool training = false;  // stores triplets, defers and blacklists nobody
    std::string defer_message;
    std::string blacklist_message;
  };
  explicit Greylisting(Settings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] std::string_view name() const override { return "Greylisting"; }
  [[nodiscard]] bool uses_tables() const override { return true; }
  // While the tables cannot be used the mail passes, and nothing is logged for it.
  Next decide_rcpt(RcptQuestion& question) override;

  // What was found out about one recipient.
  struct Decision {
    enum class Kind : std::uint8_t { pass, defer, reject, bad_row };
    Kind kind = Kind::pass;
    std::string_view reason;  // of the log; what is wrong with a bad row
    std::int64_t tries = 0;   // of a triplet seen before; 0: not said
  };

 private:
  Next answer(RcptQuestion& question, const Decision& decision);

  Settings settings_;
  RowErrors errors_;
};

}  // namespace policyd
