// SPDX-License-Identifier: AGPL-3.0-only
// What this host's database knows for resets: which of them were done here, and which counters a
// limit has. May wait for a lock, so not on the loop's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/base/result.hpp"
#include "daemon/cluster/reset/reset_request.hpp"

namespace policyd {

struct ResetDatabase {
  std::filesystem::path file;
  std::string table_prefix;
};

// Up to which one resets are done here; 0-0 if none ever was.
Result<ResetId> last_reset_done(const ResetDatabase& database);
Result<void> remember_reset_done(const ResetDatabase& database, const ResetId& id);

struct KeysOfLimits {
  struct Counter {
    std::int64_t limit_id = 0;
    std::string key;
  };
  std::vector<Counter> counters;
  std::int64_t last_rowid = 0;
};
// The next `most` rows after `rowid` that count something in these limits; none: there are no more.
Result<KeysOfLimits> counters_of_limits(const ResetDatabase& database,
                                        const std::vector<std::int64_t>& limit_ids,
                                        std::int64_t rowid, std::size_t most);

}  // namespace policyd
