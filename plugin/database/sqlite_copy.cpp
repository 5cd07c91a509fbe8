// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/database/sqlite_copy.hpp"

namespace limits {

using policyd::failure;
namespace fs = std::filesystem;
namespace sql = policyd::sql;

Result<void> copy_all(sqlite3* from, sqlite3* to) {
  sqlite3_backup* backup = sqlite3_backup_init(to, "main", from, "main");
  if (backup == nullptr) return failure(sql::message_of(to));
  constexpr int kAllPages = -1;
  const int stepped = sqlite3_backup_step(backup, kAllPages);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE) return tl::unexpected{Tables{to, {}}.error(stepped)};
  if (finished != SQLITE_OK) return tl::unexpected{Tables{to, {}}.error(finished)};
  return {};
}

Result<sql::Handle> open_plain(const fs::path& path) {
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  sql::Handle handle{raw};
  if (opened != SQLITE_OK) return failure(sql::message_of(raw));
  return handle;
}

Result<void> copy_into(sqlite3* from, const fs::path& path) {
  auto to = open_plain(path);
  if (!to) return tl::unexpected{to.error()};
  auto copied = copy_all(from, to->get());
  if (!copied) return copied;
  return sql::execute_or_explain(to->get(), "PRAGMA journal_mode = DELETE");
}

Result<std::int64_t> rules_version(const Tables& tables) {
  if (!tables.has_table("limits_rules_version")) return 0;
  std::int64_t version = 0;
  const auto done = tables.each("SELECT max(Version) FROM {p}limits_rules_version", {},
                                [&](const sql::Statement& row) { version = row.integer(0); });
  if (!done) return tl::unexpected{done.error()};
  return version;
}

}  // namespace limits
