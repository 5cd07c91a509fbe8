// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/sqlite/open_file.hpp"

#include <sqlite3.h>

namespace policyd {
namespace {

// Null if nothing is open, as with a database in memory.
sqlite3_file* file_of(sqlite3* db) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file));
  return file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

}  // namespace

bool sync_file(sqlite3* db) {
  sqlite3_file* file = file_of(db);
  return file != nullptr &&
         file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY) == SQLITE_OK;
}

int read_file_start(sqlite3* db, std::span<char> bytes) {
  sqlite3_file* file = file_of(db);
  if (file == nullptr) return SQLITE_NOTFOUND;
  return file->pMethods->xRead(file, bytes.data(), static_cast<int>(bytes.size()), 0);
}

}  // namespace policyd
