// SPDX-License-Identifier: AGPL-3.0-only
// A file of limits, and the change that makes the limits of a database those of the file. For
// `import`, and for `simulate`, which makes it in memory only.
#pragma once

#include <string>
#include <vector>

#include "plugin/commands/with_database.hpp"
#include "plugin/limit_text/limit_file.hpp"

namespace limits {

// As the user who runs the command, before becoming the owner of the database. The file may be a
// pipe: import <(...)
tl::expected<std::string, Failure> read_limit_input(const std::string& name,
                                                    const Context& context);

struct Difference {
  std::vector<std::string> lines;  // "+ send ...", "- send ..."
  std::size_t created = 0;
  std::size_t changed = 0;
  std::size_t removed = 0;
  std::size_t unchanged = 0;
  std::size_t carried = 0;           // groups, policies and rows that are none of these
  std::size_t blocks = 0;            // that the file has, and that are left out
  std::vector<std::int64_t> others;  // IDs that are not in the file and are kept
  std::string gap;                   // see forgery_gap.hpp
  // New members of groups that are not valid.
  std::vector<std::string> unfit_members;
};

Result<LimitsChange> apply_file(LimitPlan plan, const Tables& tables, const LimitFile& file,
                                bool remove_others, bool dry, bool carbonio,
                                Difference& difference);

}  // namespace limits
