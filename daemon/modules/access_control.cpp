// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/access_control.hpp"

#include <fmt/core.h>

#include "daemon/modules/block.hpp"
#include "daemon/modules/text/mail_line.hpp"

namespace policyd {

namespace {

void log_decision(RcptQuestion& question, std::string_view action) {
  if (!question.log.mail_enabled()) return;
  const Request& request = question.request;
  question.log.mail(mail_line("AccessControl", fmt::format("action={}", action), request,
                              request.recipient, word_of(question.reason.kind)));
}

// A block whose end has come.
bool is_over(const Policy& policy, TimePoint now) {
  const auto end = block_end(policy.name);
  return end && *end <= now;
}

}  // namespace

Next AccessControl::decide_rcpt(RcptQuestion& question) {
  for (const std::uint32_t index : question.policies) {
    const Policy& policy = question.rules.policies[index];
    if (policy.access_control.empty() || is_over(policy, question.store.now())) continue;
    const AccessControlRow& row = policy.access_control.front();
    // In a pause it refuses nothing; what it lets pass uncounted, it still does.
    const bool passes = row.verdict.action == Action::ok || row.verdict.action == Action::pass;
    const bool none = row.verdict.kind == RowVerdict::Kind::none;
    if (question.paused && !none && !passes) return Next::go_on;
    question.reason.row_id = row.id;
    if (none) {
      question.reason.kind = Reason::Kind::no_verdict;
      log_decision(question, "none");
      continue;
    }
    if (!row.verdict.is_for_access_control()) {
      question.reason.kind = Reason::Kind::invalid_verdict;
      log_decision(question, "none");
      errors_.refuse(
          question, "AccessControl",
          fmt::format("access_control={}: {}", row.id,
                      describe_invalid_value("access_control", "Verdict", row.verdict.text)));
      return Next::stop;
    }
    question.reason.kind = Reason::Kind::verdict;
    if (check_data_ && !row.verdict.data_fits) {
      log_decision(question, "defer");
      errors_.refuse(question, "AccessControl",
                     fmt::format("access_control={}: {}", row.id,
                                 describe_unfit_data(row.verdict.text, row.data)));
      return Next::stop;
    }
    log_decision(question, name_of(row.verdict.action));
    question.verdict = {row.verdict.action, row.data};
    return row.verdict.action == Action::pass ? Next::go_on : Next::stop;
  }
  return Next::go_on;
}

const AccessControlRow* block_in_force(const Rules& rules, std::span<const std::uint32_t> policies,
                                       TimePoint now) {
  for (const std::uint32_t index : policies) {
    const Policy& policy = rules.policies[index];
    if (policy.access_control.empty()) continue;
    const auto end = block_end(policy.name);
    if (!end || *end <= now) continue;
    const Action action = policy.access_control.front().verdict.action;
    const bool refuses =
        action == Action::reject || action == Action::hold || action == Action::discard;
    if (refuses) return &policy.access_control.front();
  }
  return nullptr;
}

void refuse_blocked(RcptQuestion& question, const AccessControlRow& row) {
  question.reason = {};
  question.reason.kind = Reason::Kind::verdict;
  question.reason.row_id = row.id;
  log_decision(question, name_of(row.verdict.action));
  question.verdict = {row.verdict.action, row.data};
}

}  // namespace policyd
