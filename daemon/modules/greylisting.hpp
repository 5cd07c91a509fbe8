// SPDX-License-Identifier: AGPL-3.0-only
// Greylisting: the first mail from a host to a recipient is deferred, and accepted when the host
// tries again after a while. CBPolicyD, "Greylisting". Hosts that try again often enough, or never,
// are put on a whitelist or blacklist automatically. Rows of all matched policies are merged. In a
// cluster, mail that this host's tables do not settle asks the other MTAs first.
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
    bool training = false;  // stores triplets, but never defers or blacklists
    std::string defer_message;
    std::string blacklist_message;
  };
  explicit Greylisting(Settings settings) : settings_(std::move(settings)) {}

  [[nodiscard]] std::string_view name() const override { return "Greylisting"; }
  [[nodiscard]] bool uses_tables() const override { return true; }
  [[nodiscard]] bool has_waited(const Question& question) const override {
    return question.known != nullptr;
  }
  // While the tables are unavailable mail passes without a log line.
  Next decide_rcpt(RcptQuestion& question) override;

  // What was decided for one recipient.
  struct Decision {
    Action action = Action::pass;  // or defer, or reject
    Reason::Kind reason = Reason::Kind::none;
    std::int64_t tries = 0;    // of a triplet seen before; 0: not logged
    std::string problem = {};  // of an invalid row; then it is not logged
  };

 private:
  Next answer(RcptQuestion& question, const Decision& decision);

  Settings settings_;
  RowErrors errors_;
};

}  // namespace policyd
