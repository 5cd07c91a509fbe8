// SPDX-License-Identifier: AGPL-3.0-only
// session_tracking: a row for each message that ends, put in while a batch is decided and written
// with it; and rows of messages that another process began. Part of the SQLite store; the loop's
// thread. Reports read these rows, decisions hardly ever: where one cannot be written, it is not.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "daemon/log/maillog.hpp"
#include "daemon/session/session_row.hpp"
#include "daemon/sqlite/sqlite.hpp"

namespace policyd {

class SessionTable {
 public:
  explicit SessionTable(Maillog& log) : log_(log) {}

  // `db` is null where nothing can be read or written; statements of a former one are dropped.
  void attach(sqlite3* db, const std::string& table_prefix);

  // Whether a message of the last hour had not ended when the table was attached.
  [[nodiscard]] bool was_under_way(std::string_view instance) const {
    return !under_way_.empty() && under_way_.contains(std::string{instance});
  }
  // Nullopt also where the table cannot be read.
  std::optional<SessionRow> find(std::string_view instance);
  void put(SessionRow row) { rows_.push_back(std::move(row)); }

  [[nodiscard]] bool empty() const { return rows_.empty(); }

  // Writes what was put in, in the open transaction, in the place of rows of the same Instance. An
  // error only where that ended the transaction, which the counters must hear of.
  int write();
  void end_batch() { rows_.clear(); }

 private:
  void read_under_way(const std::string& table_prefix);
  int insert(const SessionRow& row);

  Maillog& log_;
  sqlite3* db_ = nullptr;
  sql::Statement select_, insert_;
  std::unordered_set<std::string> under_way_;
  std::vector<SessionRow> rows_;
  bool told_ = false;  // that rows cannot be written, since they last could
};

}  // namespace policyd
