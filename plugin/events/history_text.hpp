// SPDX-License-Identifier: AGPL-3.0-only
// A history as people read it, one sentence and tables, and as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/config.hpp"
#include "plugin/events/history.hpp"
#include "plugin/terminal/output.hpp"

namespace limits {

struct HistoryView {
  const History& history;
  const HistoryQuestion& question;
  const SentBy& who;
  policyd::TimePoint now;
  std::size_t top;                        // lines of each table
  const DeliveryLog* mail_log = nullptr;  // null: none was read
};

// "812 KiB", "1.5 MiB".
std::string size_text(std::uint64_t kib);

// The first line of a history, read for it: what `name`, a counted_name(), has sent, also as one of
// `others`.
Result<std::string> history_sentence(const Tables& tables, const policyd::Config& config,
                                     std::string_view name, std::vector<std::string> others,
                                     const HistoryQuestion& question, policyd::TimePoint now);

// What is wrong with the mail log, a sentence; empty if nothing is.
std::string mail_log_note(const HistoryView& view);

void print_history(const HistoryView& view, Output& output);
nlohmann::json json_of(const HistoryView& view);

}  // namespace limits
