// SPDX-License-Identifier: AGPL-3.0-only
// New contents for the database while the daemon has it open: through SQLite only. A file moved or
// removed under the daemon would go unnoticed, and its log would be replayed into whatever takes
// its place.
#pragma once

#include <filesystem>

#include "plugin/database/change_set.hpp"

namespace limits {

// Makes the contents of the database behind `live` those of the file `backup`, in one commit: with
// what is ours in it, should it be the Perl daemon's, and with a rules version above both, so that
// a running daemon takes it over. `backup` is only read. Needs room for a copy beside `database`.
Result<void> restore_from(const std::filesystem::path& backup,
                          const std::filesystem::path& database, const Tables& live);

// Makes CBPolicyD's tables in the database behind `tables` those of `fresh`, a database made by
// create_database: rows, indexes and triggers; other tables stay. The rules version goes on from
// the old one, so that a running daemon sees the change. Inside a transaction, which the caller
// ends; `fresh` is attached as `fresh` before it.
Result<void> replace_tables(const Tables& tables);

}  // namespace limits
