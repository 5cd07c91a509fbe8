// SPDX-License-Identifier: AGPL-3.0-only
// What happened that an admin wants to know: mail that was refused, a limit that is nearly used up,
// rules that were changed, trouble. A row of the table limits_events (event_rows.hpp), where events
// of the same counter and minute are one. A value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace policyd {

enum class EventKind : std::uint8_t {
  refused,      // an answer other than to let the mail pass
  watched,      // a limit with verdict none would have refused it
  let_through,  // a pause let it pass
  near,         // a counter has reached [notify] near percent of its limit
  locked,       // an account was locked
  released,     // and freed again
  reset,        // counters were cleared
  rules,        // rules were changed; row_id is the version that they have since
  paused,
  resumed,
  trouble,  // with the database; or events were lost
  recovered,
  engine_lost,  // the count of the cluster
  engine_back,
  suspect,  // somebody stands out, and a step that stops no mail was taken about it
};
inline constexpr std::size_t kEventKinds = 15;

// The word in the table, in JSON and in --kind: "let_through".
std::string_view name_of(EventKind kind);
std::optional<EventKind> parse_event_kind(std::string_view text);

struct Event {
  EventKind kind = EventKind::refused;
  // The module that answered ("Quotas"), and the row: of quotas_limits for Quotas, else of the
  // module's own table; 0 if there is none.
  std::string module;
  std::int64_t row_id = 0;
  std::string track_key;  // "Sender:anna@example.org"
  std::string verdict;    // "defer", in lower case
  TimePoint first{};
  TimePoint last{};
  std::uint64_t times = 1;
  // Of the last one; empty if unknown.
  std::string client;
  std::string login;
  std::string sender;
  std::string recipient;
  std::optional<double> used;
  std::optional<double> limit;
  std::optional<TimePoint> free_at;  // when the same mail would pass
  // Of a command: "root@pts/0", "anna@pts/1 (sudo)"; and what it was, or what the trouble is.
  std::string who;
  std::string detail;

  // Bounds of what is stored, in bytes; what is longer is cut at a character.
  static constexpr std::size_t kMaxKey = 512;
  static constexpr std::size_t kMaxText = 255;

  bool operator==(const Event&) const = default;
};

// `text` without what is beyond `max` bytes, nor half a character at its end.
std::string_view cut(std::string_view text, std::size_t max);

}  // namespace policyd
