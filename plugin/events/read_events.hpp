// SPDX-License-Identifier: AGPL-3.0-only
// What the daemon and commands have remembered in limits_events, the newest first. For `refused`,
// `usage`, `history`, notices and reports.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/events/event.hpp"
#include "plugin/database/change_set.hpp"
#include "plugin/usage/track_key.hpp"

namespace limits {

struct EventFilter {
  std::vector<policyd::EventKind> kinds;  // empty: all
  std::optional<policyd::TimePoint> since;
  std::int64_t after_id = 0;                                // rows that were added later than this
  std::optional<std::vector<std::int64_t>> limit_ids = {};  // of quotas_limits

  // Of this address, domain, login, client or network: as counter, login, sender, recipient or
  // client. `others`: further names of the same account.
  void show_only(std::string_view name, std::vector<std::string> others = {});
  [[nodiscard]] bool shows(const policyd::Event& event) const;

 private:
  std::optional<KeyFilter> who_;
  std::optional<KeyNetwork> network_;
};

struct StoredEvent {
  std::int64_t id = 0;
  policyd::Event event;
};

// Until `take` returns false. There are no events in a database without the table, which no daemon
// of this version has opened.
Result<void> each_event(const Tables& tables, const EventFilter& filter,
                        const std::function<bool(StoredEvent&&)>& take);

}  // namespace limits
