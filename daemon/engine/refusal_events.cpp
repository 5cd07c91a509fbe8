// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/engine/refusal_events.hpp"

#include <fmt/core.h>

#include "daemon/events/event.hpp"
#include "daemon/protocol/request.hpp"
#include "daemon/protocol/verdict.hpp"

namespace policyd {

void RefusalEvents::note(const Module& module, const Question& question) {
  const Action action = question.verdict.action;
  const bool refused =
      question.verdict.refuses() || action == Action::hold || action == Action::discard;
  const Reason& reason = question.reason;
  const bool noted =
      reason.kind == Reason::Kind::quota_match || reason.kind == Reason::Kind::accounting_match;
  if (!refused || noted) return;
  const Request& request = question.request;
  const bool by_client = request.sender.empty() || reason.kind == Reason::Kind::greylisted ||
                         reason.kind == Reason::Kind::auto_blacklisted;
  if (by_client) {
    key_ = fmt::format("SenderIP:{}/{}", request.client_address.to_string(),
                       request.client_address.bits());
  } else {
    key_.assign("Sender:").append(request.sender);
  }
  Event* event =
      events_->note({EventKind::refused, module.name(), reason.row_id, key_, name_of(action)},
                    request, question.store.now());
  if (event == nullptr) return;
  event->detail =
      cut(reason.problem.empty() ? question.verdict.text : reason.problem, Event::kMaxText);
}

}  // namespace policyd
