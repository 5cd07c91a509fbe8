// SPDX-License-Identifier: AGPL-3.0-only
// greylisting_tracking, greylisting_autowhitelist and greylisting_autoblacklist. A triplet is asked
// about a few times in its life, so unlike counters they are not cached. Part of the SQLite store;
// the loop's thread.
#pragma once

#include "daemon/store/greylisting_tables.hpp"
#include "daemon/store/sqlite/lazy_statements.hpp"

namespace policyd {

class SqliteGreylisting final : public LazyStatements, private GreylistingTables {
 public:
  explicit SqliteGreylisting(Maillog& log)
      : LazyStatements(log, "Greylisting", "mail passes without greylisting") {}

  // Null outside of a batch, and after a failure.
  [[nodiscard]] GreylistingTables* tables() { return usable() ? this : nullptr; }

 private:
  std::optional<Triplet> find(std::string_view track_key, std::string_view sender,
                              std::string_view recipient) override;
  void insert(std::string_view track_key, std::string_view sender, std::string_view recipient,
              Time now) override;
  void deferred(const Triplet& triplet, Time now) override;
  void passed(const Triplet& triplet, Time now) override;
  TripletCounts count(std::string_view track_key, Time since) override;
  std::optional<Time> auto_whitelist_seen(std::string_view track_key) override;
  void renew_auto_whitelist(std::string_view track_key, Time now) override;
  void auto_whitelist(std::string_view track_key, Time now, std::string_view comment) override;
  std::optional<Time> auto_blacklist_added(std::string_view track_key) override;
  void auto_blacklist(std::string_view track_key, Time now, std::string_view comment) override;
};

}  // namespace policyd
