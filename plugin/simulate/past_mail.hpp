// SPDX-License-Identifier: AGPL-3.0-only
// Mail of the past, from Postfix's log or, where there is none, from session_tracking, with what is
// not known about it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/maillog/log_files.hpp"

namespace limits {

struct PastMail {
  Mails mails;
  std::string source;  // "3 files", "session_tracking"
  bool of_log = true;
  policyd::TimePoint first{};  // of the source's lines or rows
  policyd::TimePoint last{};
  std::uint64_t lines = 0;
  std::uint64_t unreadable = 0;
  std::vector<std::string> notes;  // sentences: what was left out, what is not known
  [[nodiscard]] double days() const;
};

// As the limits' rows have them, and the texts that are written for new ones.
Result<RefusalTexts> refusal_texts(const Tables& tables);

PastMail past_mail(ReadLog log);

// At most `max_rows`, the newest; fewer if `given_up` says that nobody waits for them.
Result<PastMail> past_mail(const Tables& tables, policyd::TimePoint since,
                           const std::function<bool()>& given_up, std::size_t max_rows = 5'000'000);

}  // namespace limits
