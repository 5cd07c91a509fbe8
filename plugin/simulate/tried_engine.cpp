// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/simulate/tried_engine.hpp"

#include <algorithm>
#include <utility>

#include "daemon/log/log_file.hpp"

namespace limits {
namespace {

// Of the modules only Quotas: what others answered in those days is in the log.
policyd::Config only_quotas(const policyd::Config& config, bool decay) {
  constexpr std::size_t kSessions = 100;  // one after another
  policyd::Config out;
  out.quotas = true;
  out.quotas_algorithm = decay ? policyd::Algorithm::decay : policyd::Algorithm::window;
  out.recipient_delimiter = config.recipient_delimiter;
  out.max_sessions = kSessions;
  return out;
}

policyd::LogSettings only_errors() {
  policyd::LogSettings out;
  out.level = policyd::LogLevel::error;
  return out;
}

bool has_sizes(const policyd::Rules& rules) {
  return std::any_of(rules.policies.begin(), rules.policies.end(), [](const auto& policy) {
    return std::any_of(policy.quotas.begin(), policy.quotas.end(), [](const auto& quota) {
      return std::any_of(quota.limits.begin(), quota.limits.end(),
                         [](const auto& limit) { return policyd::is_size(limit.type); });
    });
  });
}

}  // namespace

TriedEngine::TriedEngine(std::shared_ptr<const policyd::Rules> rules, const policyd::Config& config,
                         bool decay)
    : store_(std::move(rules)),
      log_(std::nullopt, only_errors()),
      counts_sizes_(has_sizes(*store_.rules())),
      engine_(
          loop_, store_, log_, only_quotas(config, decay), [this] { return now_; }, nullptr,
          &events_) {}

TriedEngine::Answer TriedEngine::ask(const policyd::Request& request, policyd::TimePoint now) {
  now_ = now;
  store_.about_recipient(request.state == policyd::ProtocolState::rcpt);
  asked_->ask(request);
  engine_.ask(asked_);
  engine_.finish();
  Answer out;
  out.verdict = std::move(asked_->answered);
  asked_->answered = {};
  out.hit = out.verdict.action != policyd::Action::dunno;
  const auto noted = events_.take();
  if (!noted) return out;
  while (noted->size() > 0) {
    const policyd::Event event = noted->take_oldest();
    if (event.kind != policyd::EventKind::refused) continue;
    out.hit = true;
    out.limit_id = event.module == "Quotas" ? event.row_id : 0;
    out.key = event.track_key;
  }
  return out;
}

}  // namespace limits
