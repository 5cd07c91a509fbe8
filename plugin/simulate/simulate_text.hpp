// SPDX-License-Identifier: AGPL-3.0-only
// What `simulate` prints: a table for people, CSV, and JSON, a stable format that the manual page
// describes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "plugin/simulate/past_mail.hpp"
#include "plugin/simulate/tried_limits.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

struct SimulateView {
  const PastMail& mail;
  const Mails& mails;
  const Replay& replay;
  const TriedLimits& tried;
  const std::vector<StoredLimit>& limits;  // that were played
  policyd::TimePoint now;
  std::size_t top = 0;
  bool list_mails = false;
};

// "7.0 days of mail in 3 files, 2026-11-19 10:00:00 to ...: 51,233 messages to 60,120 recipients".
std::string source_text(const PastMail& mail, const Replay& replay);
// "86,400".
std::string grouped(std::uint64_t number);
// "0.5 %", "<0.1 %".
std::string share_text(std::uint64_t part, std::uint64_t whole);
// Limits with verdict none refuse nothing. Alone they are played as if they did; together with
// others they count what they would have refused, so that no figure of theirs shows how much that
// is.
std::optional<std::string> note_on_watching(const std::vector<StoredLimit>& limits, bool alone);
// What was left out, in words.
void print_notes(const PastMail& mail, Output& output);

void print_simulation(const SimulateView& view, Output& output);
void print_csv(const SimulateView& view, Output& output);
nlohmann::json json_of(const SimulateView& view);

}  // namespace limits
