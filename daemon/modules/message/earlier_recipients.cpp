// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/modules/message/earlier_recipients.hpp"

#include <algorithm>

namespace policyd {

namespace {

bool is_by_recipient(TrackMethod method) {
  return method == TrackMethod::recipient_address || method == TrackMethod::recipient_domain ||
         method == TrackMethod::recipient_user;
}

bool stands_for(const EarlierQuestion& question, const SessionRecipient& earlier) {
  if (question.which == Earlier::counted) {
    return earlier.has_counted(question.rules_version, question.policy_id, question.quota_id);
  }
  const auto& policies = earlier.policies;
  return !earlier.refuses() && earlier.reached_quotas &&
         std::find(policies.begin(), policies.end(), question.policy_id) != policies.end();
}

}  // namespace

std::size_t earlier_recipients(const EarlierQuestion& question, std::size_t enough,
                               std::string& scratch) {
  const Session& session = question.session;
  // Other keys are the same for all recipients.
  const bool by_recipient = is_by_recipient(question.track.method);
  std::size_t found = 0;
  for (std::size_t i = 0; i < session.recipients() && found < enough; ++i) {
    const SessionRecipient earlier = session.recipient(i);
    if (!stands_for(question, earlier)) continue;
    if (by_recipient) {
      scratch.clear();
      append_track_key(scratch, question.track, session.request_for(earlier), question.extensions);
      if (scratch != question.key) continue;
    }
    ++found;
  }
  return found;
}

}  // namespace policyd
