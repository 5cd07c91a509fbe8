// SPDX-License-Identifier: AGPL-3.0-only
// A table of counters: its rows as they are touched, kept in memory (least recently used go), and
// written back as absolute states. Part of the SQLite store; the loop's thread.
//
// A row counts as read for one generation: a commit by somebody else begins a new one, and what is
// touched then is read again. What was counted while nothing could be written stays dirty; if the
// row was edited meanwhile, the edit wins and what was counted since is added to it.
//
// A Record says what is particular to one table (quota_record, accounting_record):
//   Value               the row in memory, with `bool exists`
//   Units               what can be counted in it, with +=
//   Columns             what somebody may edit, with ==
//   kKeyTexts           so many texts follow the number in its key
//   kSelect             rowid, then what `read` takes; by the key, ?1 the number
//   kInsert, kUpdate    from the key, or by rowid ?1; values from place kKeyTexts + 2 on
//   read, bind          a Value from a row found, and into a statement
//   columns             of a Value
//   rebase              `found` is what an edit left: becomes that and `units`, counted in `ours`
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/lru_table.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/sqlite/accounting_record.hpp"
#include "daemon/store/sqlite/quota_record.hpp"

namespace policyd {

template <typename Record>
class CachedTable {
 public:
  using Value = typename Record::Value;
  using Units = typename Record::Units;
  struct Key {
    std::int64_t id;
    std::array<std::string_view, Record::kKeyTexts> texts;
    bool operator==(const Key&) const = default;
  };

  // At most `capacity` rows that are not dirty stay in memory between batches.
  CachedTable(std::size_t capacity, TimePoint now) : capacity_(capacity), now_(now) {}

  // `db` is null where nothing can be read or written; statements of a former one are dropped.
  Result<void> attach(sqlite3* db, const std::string& table_prefix);

  void begin_batch(TimePoint now) { now_ = now; }
  void somebody_else_committed() { ++generation_; }
  // The key as the caller built it: a copy of it made look-ups twice as slow (store forwarding).
  Value& touch(const Key& key);
  void changed(Value& value, const Units& units);

  // Another file has the table's place, older than what is in memory: all rows known here become
  // dirty, and count whatever the table says.
  void memory_wins();

  // Writes what is dirty, at most so many rows, in the open transaction. SQLITE_OK or the first
  // error.
  int write_dirty(std::size_t most = static_cast<std::size_t>(-1));
  void committed();  // what was written is stored
  void rolled_back();
  void end_batch();  // references to values end here
  [[nodiscard]] std::size_t dirty() const { return dirty_.size(); }
  // Changes that will not be stored because too many wait for it already; since the last call.
  std::size_t take_lost() { return std::exchange(lost_, 0); }

 private:
  static std::size_t hash_of(const Key& key);
  struct Row : Value {
    std::int64_t id = 0;
    std::array<std::string, Record::kKeyTexts> texts;
    std::int64_t rowid = 0;         // 0: not in the table, or not known
    std::uint64_t generation = 0;   // in which it was read; 0: never
    typename Record::Columns base;  // as last read or committed
    Units pending{};                // counted since then
    bool dirty = false;
    bool wins = false;  // over what the table says

    [[nodiscard]] bool is(const Key& key) const;
  };

  // Takes the row from the table; false where it cannot be read.
  bool read(Row& row);
  bool rebase(Row& row);
  int write(Row& row);
  static void bind_key(sql::Statement& statement, const Row& row);

  std::size_t capacity_;
  TimePoint now_;
  std::uint64_t generation_ = 1;
  sqlite3* db_ = nullptr;
  sql::Statement select_, insert_, update_;
  LruTable<Row> rows_;
  std::vector<Row*> dirty_;
  std::size_t written_ = 0;     // of them, in the open transaction
  std::vector<Row*> inserted_;  // in the open transaction
  std::string scratch_;
  std::size_t lost_ = 0;
};

extern template class CachedTable<QuotaRecord>;
extern template class CachedTable<AccountingRecord>;

}  // namespace policyd
