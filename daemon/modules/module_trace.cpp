// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/module_trace.hpp"

#include <fmt/format.h>

#include <iterator>

namespace policyd {

ModuleTrace::~ModuleTrace() {
  if (!on_) return;
  log_.write(LogLevel::debug,
             fmt::format("state={}, instance={}, from={}, to={}: {}",
                         request_.state == ProtocolState::rcpt ? "RCPT" : "END-OF-MESSAGE",
                         request_.instance, request_.sender, request_.recipient,
                         text_.empty() ? "no module asked" : text_));
}

void ModuleTrace::append(std::string_view module, Next next, const Verdict& verdict) {
  fmt::format_to(std::back_inserter(text_), "{}{} {}{}", text_.empty() ? "" : ", ", module,
                 name_of(verdict.action), next == Next::stop ? " (final)" : "");
}

}  // namespace policyd
