// SPDX-License-Identifier: AGPL-3.0-only
// Which messages in Postfix's queue are of a blocked account or client. The queue knows senders but
// no logins, so what was sent in the last day (session_tracking) tells the rest: by queue ID, and,
// because a content filter gives a message a new one, by the sender names that only this account
// has used.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "plugin/database/change_set.hpp"
#include "plugin/usage/counted_name.hpp"

namespace limits {

class SentMail {
 public:
  // `items`: as of a block's members. Reads at most kMaxRows rows, the newest first.
  static Result<SentMail> read(const Tables& tables, const policyd::Config& config,
                               std::span<const std::string> items, policyd::TimePoint since);

  // `sender` in the form of names, which may have an extension; empty for a bounce, which is no
  // one's.
  [[nodiscard]] bool is(const std::string& queue_id, const std::string& sender) const;

  static constexpr std::int64_t kMaxRows = 1'000'000;

 private:
  [[nodiscard]] std::string without_extension(const std::string& sender) const;

  OwnExtensions own_;
  std::unordered_set<std::string> queue_ids_;
  std::unordered_set<std::string> addresses_;  // of the account
  std::unordered_set<std::string> senders_;    // that it has used
  std::unordered_set<std::string> others_;     // that others have used
};

}  // namespace limits
