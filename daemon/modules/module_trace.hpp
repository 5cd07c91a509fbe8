// SPDX-License-Identifier: AGPL-3.0-only
// With `log_detail=modules` and level 4, one line per question: which modules were asked, and the
// answer after each. Costs one comparison when off. The loop's thread.
//
//   state=RCPT, instance=1.2.3, from=a@x, to=b@y: CheckHelo dunno, Quotas defer (final)
#pragma once

#include <string>
#include <string_view>

#include "daemon/log/maillog.hpp"
#include "daemon/modules/module.hpp"
#include "daemon/protocol/request.hpp"

namespace policyd {

class ModuleTrace {
 public:
  // `enabled` is from the configuration. The destructor writes the line.
  ModuleTrace(Maillog& log, bool enabled, const Request& request)
      : log_(log), on_(enabled && log.enabled(LogLevel::debug)), request_(request) {}
  ~ModuleTrace();
  ModuleTrace(const ModuleTrace&) = delete;
  ModuleTrace& operator=(const ModuleTrace&) = delete;

  void asked(std::string_view module, Next next, const Verdict& verdict) {
    if (on_) append(module, next, verdict);
  }

 private:
  void append(std::string_view module, Next next, const Verdict& verdict);

  Maillog& log_;
  bool on_;
  const Request& request_;
  std::string text_;
};

}  // namespace policyd
