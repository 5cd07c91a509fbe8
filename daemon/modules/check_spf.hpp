// SPDX-License-Identifier: AGPL-3.0-only
// CheckSPF: what the sender's domain says of clients that may send for it (SPF, scope MAIL FROM),
// which was found out before (spf_check). Where there was no result in time, or too much to do, the
// check is skipped. CBPolicyD, "CheckSPF".
#pragma once

#include <string>

#include "daemon/modules/module.hpp"

namespace policyd {

class CheckSpf final : public Module {
 public:
  // `receiver` is the host that says so in Received-SPF headers.
  explicit CheckSpf(std::string receiver = this_host());

  [[nodiscard]] std::string_view name() const override { return "CheckSPF"; }
  [[nodiscard]] LookupWishes wishes(const RcptQuestion& question) const override;
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  static std::string this_host();
  [[nodiscard]] std::string header(const Request& request, SpfResult result,
                                   std::string_view reason) const;

  std::string receiver_;
};

}  // namespace policyd
