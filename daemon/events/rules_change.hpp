// SPDX-License-Identifier: AGPL-3.0-only
// Who changed the rules. A command announces its change in the same transaction, so that the
// daemon, which only sees another version of the rules, knows which versions nobody announced: rows
// typed by hand. The thread of the connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/events/event.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

struct Actor {
  std::string who;   // "root on pts/0 (sudo by anna)"
  std::string what;  // "carbonio-limits send 100/h"
};

class RulesChange {
 public:
  // Within the transaction, before the change.
  RulesChange(sqlite3* db, std::string_view table_prefix);
  // Before the commit: an event, unless no rule has changed.
  void announce(const Actor& by, TimePoint now);

 private:
  [[nodiscard]] std::optional<std::int64_t> version() const;

  sqlite3* db_;
  std::string table_prefix_;
  std::optional<std::int64_t> before_;
};

// The event of rules that have version `to` since `now` and had `from` before: `used` and row_id
// carry the two.
Event rules_event(std::int64_t from, std::int64_t to, TimePoint now);

// Of an event that the daemon has made of such a change: whether others have announced it all. If
// not, and it is about rules, it gets the words that say so.
bool is_announced(sqlite3* db, std::string_view table_prefix, Event& event);

}  // namespace policyd
