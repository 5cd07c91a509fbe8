// SPDX-License-Identifier: AGPL-3.0-only
// A table of counters: its rows as they are touched, kept in memory (least recently used go), and
// written back as absolute states. Part of the SQLite store; the loop's thread.
//
// A row is valid for one generation: a commit by another connection starts a new one, and a row
// that is touched then is read again. Units counted while nothing could be written stay dirty; if
// the row was edited meanwhile, the edit wins and those units are added to it.
//
// A Record describes one table (counter_records):
//   Value               the row in memory, with `bool exists`
//   Units               what is counted in it, with +=
//   Columns             what an admin may edit, with ==
//   kKeyTexts           the number of texts that follow the number in its key
//   kSelect             rowid, then the columns that `read` takes; by the key, ?1 the number
//   kInsert, kUpdate    by the key, or by rowid ?1; values are bound from kKeyTexts + 2 on
//   read, bind          a Value from a row, and into a statement
//   columns             of a Value
//   save, load          what of a Value is stored, Columns and Units, as bytes (saved_counters)
//   rebase              adds `units` to `edited`, a row as an edit left it; `ours` is the Value in
//                       which they were counted
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/lru_table.hpp"
#include "daemon/counting/state_bytes.hpp"
#include "daemon/sqlite/sqlite.hpp"
#include "daemon/store/sqlite/counter_records.hpp"

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

  // `db` is null if nothing can be read or written; statements of an earlier one are dropped.
  Result<void> attach(sqlite3* db, const std::string& table_prefix);

  void begin_batch(TimePoint now) { now_ = now; }
  void on_foreign_commit() { ++generation_; }
  // The key as the caller built it: copying it made look-ups twice as slow (store forwarding).
  Value& touch(const Key& key);
  void changed(Value& value, const Units& units);

  // The table is now an older one than memory: all rows known here become dirty and replace its
  // rows.
  void overwrite_table();

  // Appends all dirty rows to `out`, each after `mark`, for another process to load().
  void save(std::string& out, char mark) const;
  // One row, which becomes dirty, if nothing is known of it. False if the bytes are no row.
  bool load(StateReader& in);

  // Writes at most `max` dirty rows in the open transaction. SQLITE_OK or the first error.
  int write_dirty(std::size_t max = static_cast<std::size_t>(-1));
  void committed();  // the rows just written are stored
  void rolled_back();
  void end_batch();  // references to values end here
  [[nodiscard]] std::size_t dirty() const { return dirty_.size(); }
  // Changes since the last call that will not be stored because too many are waiting already.
  std::size_t take_lost() { return std::exchange(lost_, 0); }

 private:
  static std::size_t hash_of(const Key& key);
  struct Row : Value {
    std::int64_t id = 0;
    std::array<std::string, Record::kKeyTexts> texts;
    std::int64_t rowid = 0;         // 0: not in the table, or unknown
    std::uint64_t generation = 0;   // in which it was read; 0: never
    typename Record::Columns base;  // as last read or committed
    Units pending{};                // counted since then
    bool dirty = false;
    bool overwrites = false;  // whatever the table says

    [[nodiscard]] bool is(const Key& key) const;
  };

  // Takes the row from the table; false if it cannot be read.
  bool read(Row& row);
  // False if too many rows are dirty already.
  bool make_dirty(Row& row);
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
  std::size_t written_ = 0;     // of them in the open transaction
  std::vector<Row*> inserted_;  // in the open transaction
  std::string scratch_;
  std::size_t lost_ = 0;
};

extern template class CachedTable<QuotaRecord>;
extern template class CachedTable<AccountingRecord>;

}  // namespace policyd
