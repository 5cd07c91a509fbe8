// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/access_control.hpp"

#include <fmt/core.h>

#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

void log_decision(RcptQuestion& question, std::string_view action, std::string_view reason) {
  if (!question.log.mail_enabled()) return;
  const Request& request = question.request;
  question.log.mail(mail_line("AccessControl", fmt::format("action={}", action), request,
                              request.recipient, reason));
}

}  // namespace

Next AccessControl::decide_rcpt(RcptQuestion& question) {
  for (const std::uint32_t place : question.policies) {
    const Policy& policy = question.rules.policies[place];
    if (policy.access_control.empty()) continue;
    const AccessControlRow& row = policy.access_control.front();
    if (row.verdict.kind == RowVerdict::Kind::none) {
      log_decision(question, "none", "no_verdict");
      continue;
    }
    if (!row.verdict.is_for_access_control()) {
      log_decision(question, "none", "invalid_verdict");
      errors_.log(question, fmt::format("module=AccessControl, access_control={}: {}", row.id,
                                        describe_invalid_value("access_control", "Verdict",
                                                               row.verdict.text)));
      question.verdict = {Action::defer, {}};
      return Next::stop;
    }
    log_decision(question, name_of(row.verdict.action), "verdict");
    question.verdict = {row.verdict.action, row.data};
    return row.verdict.action == Action::pass ? Next::go_on : Next::stop;
  }
  return Next::go_on;
}

}  // namespace policyd
