// SPDX-License-Identifier: AGPL-3.0-only
// With `log_detail=modules` and level 4, one line a question: which modules were asked, and what
// each left as the answer. Costs a comparison where that is off. The loop's thread.
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
  // `wanted` is the configuration's. Writes its line when it goes.
  ModuleTrace(Maillog& log, bool wanted, const Request& request)
      : log_(log), on_(wanted && log.enabled(LogLevel::debug)), request_(request) {}
  ~ModuleTrace();
  ModuleTrace(const ModuleTrace&) = delete;
  ModuleTrace& operator=(const ModuleTrace&) = delete;

  void asked(std::string_view module, Next next, const Verdict& so_far) {
    if (on_) append(module, next, so_far);
  }

 private:
  void append(std::string_view module, Next next, const Verdict& so_far);

  Maillog& log_;
  bool on_;
  const Request& request_;
  std::string text_;
};

}  // namespace policyd
