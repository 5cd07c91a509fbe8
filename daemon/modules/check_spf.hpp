// SPDX-License-Identifier: AGPL-3.0-only
// CheckSPF: whether the sender's domain allows the client to send for it (SPF, scope MAIL FROM), as
// spf_check has found out. Without a result, since the DNS was too slow or there were too many
// lookups, the check is skipped. CBPolicyD, "CheckSPF".
#pragma once

#include <string>

#include "daemon/modules/module.hpp"

namespace policyd {

class CheckSpf final : public Module {
 public:
  // `receiver` is the name of this host in Received-SPF headers.
  explicit CheckSpf(std::string receiver = this_host());

  [[nodiscard]] std::string_view name() const override { return "CheckSPF"; }
  [[nodiscard]] NeededLookups needed_lookups(const RcptQuestion& question) const override;
  Next decide_rcpt(RcptQuestion& question) override;

 private:
  static std::string this_host();
  [[nodiscard]] std::string header(const Request& request, SpfResult result,
                                   std::string_view reason) const;

  std::string receiver_;
};

}  // namespace policyd
