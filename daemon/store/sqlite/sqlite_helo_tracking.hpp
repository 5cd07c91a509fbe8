// SPDX-License-Identifier: AGPL-3.0-only
// checkhelo_tracking and checkhelo_blacklist; no query touches more than the rows of one address.
// Part of the SQLite store; the loop's thread.
#pragma once

#include "daemon/store/helo_tracking.hpp"
#include "daemon/store/sqlite/lazy_statements.hpp"

namespace policyd {

class SqliteHeloTracking final : public LazyStatements, private HeloTracking {
 public:
  explicit SqliteHeloTracking(Maillog& log)
      : LazyStatements(log, "CheckHelo", "HELO names are not tracked") {}

  // Null outside of a batch, and after a failure.
  [[nodiscard]] HeloTracking* tables() { return usable() ? this : nullptr; }

 private:
  void note(std::string_view address, std::string_view helo, Time now) override;
  bool used_blacklisted(std::string_view address, Time since) override;
  std::int64_t names_used(std::string_view address, Time since, std::int64_t enough) override;
};

}  // namespace policyd
