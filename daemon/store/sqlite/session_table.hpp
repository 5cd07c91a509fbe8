// SPDX-License-Identifier: AGPL-3.0-only
// session_tracking: a row for each message that ends, added while a batch is decided and written
// with it; and rows of messages that another process started. Part of the SQLite store; the loop's
// thread. Reports read these rows, decisions hardly ever: while the database cannot be written the
// latest wait in memory, and the others are dropped.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "daemon/counting/state_bytes.hpp"
#include "daemon/log/maillog.hpp"
#include "daemon/session/session_row.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class SessionTable {
 public:
  explicit SessionTable(Maillog& log) : log_(log) {}

  // `db` is null if nothing can be read or written; statements of an earlier one are dropped.
  void attach(sqlite3* db, const std::string& table_prefix);

  // Whether a message of the last hour was still open when the table was attached.
  [[nodiscard]] bool was_under_way(std::string_view instance) const {
    return !under_way_.empty() && under_way_.contains(std::string{instance});
  }
  // nullopt also if the table cannot be read.
  std::optional<SessionRow> find(std::string_view instance);
  void put(SessionRow row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }

  // Writes at most `max` of the added rows in the open transaction, replacing rows of the same
  // Instance. An error only if that ended the transaction, which concerns the counters too.
  int write(std::size_t max);
  void committed() { rows_.erase(rows_.begin(), rows_.begin() + std::exchange(written_, 0)); }
  void end_batch();

  // Appends the rows that are not written, each after `mark`, for another process to load().
  void save(std::string& out, char mark) const;
  // One row. False if the bytes are no row.
  bool load(StateReader& in);

 private:
  void read_open_messages(const std::string& table_prefix);
  int insert(const SessionRow& row);

  Maillog& log_;
  sqlite3* db_ = nullptr;
  sql::Statement select_, insert_;
  std::unordered_set<std::string> under_way_;
  std::vector<SessionRow> rows_;
  std::ptrdiff_t written_ = 0;  // of them, in the open transaction
  bool logged_ = false;         // that rows cannot be written, since the last that was
};

}  // namespace policyd
