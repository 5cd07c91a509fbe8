// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/cached_table.hpp"

#include <algorithm>
#include <functional>

namespace policyd {

namespace {
// While nothing can be written; some 300 bytes each.
constexpr std::size_t kMaxDirtyRows = 1'000'000;
constexpr int kEvictionsPerBatch = 4096;
// The generation of rows that another process read; ours begin with 1.
constexpr std::uint64_t kLoaded = ~std::uint64_t{0};
// Of a saved row.
constexpr int kKnown = 1;
constexpr int kOverwrites = 2;
constexpr std::size_t kMaxTextBytes = 64 * 1024;
}  // namespace

template <typename Record>
std::size_t CachedTable<Record>::hash_of(const Key& key) {
  constexpr std::uint64_t kGoldenRatio = 0x9E3779B97F4A7C15ULL;
  auto hash = static_cast<std::uint64_t>(key.id);
  for (const std::string_view text : key.texts) {
    hash = hash * kGoldenRatio ^ std::hash<std::string_view>{}(text);
  }
  return hash;
}

template <typename Record>
bool CachedTable<Record>::Row::is(const Key& key) const {
  return id == key.id && std::equal(texts.begin(), texts.end(), key.texts.begin());
}

template <typename Record>
Result<void> CachedTable<Record>::attach(sqlite3* db, const std::string& table_prefix) {
  for (sql::Statement* statement : {&select_, &insert_, &update_}) *statement = {};
  db_ = nullptr;
  on_foreign_commit();
  if (db == nullptr) return {};
  auto done = select_.assign(db, Record::kSelect, table_prefix);
  if (done) done = insert_.assign(db, Record::kInsert, table_prefix);
  if (done) done = update_.assign(db, Record::kUpdate, table_prefix);
  if (done) db_ = db;
  return done;
}

template <typename Record>
typename Record::Value& CachedTable<Record>::touch(const Key& key) {
  const std::size_t hash = hash_of(key);
  if (Row* known = rows_.find(hash, [&key](const Row& row) { return row.is(key); })) {
    // A dirty row is compared with the table when it is written.
    if (known->generation != generation_ && !known->dirty) read(*known);
    return *known;
  }
  Row& row = rows_.add(hash);
  row.id = key.id;
  std::copy(key.texts.begin(), key.texts.end(), row.texts.begin());
  read(row);
  return row;
}

template <typename Record>
void CachedTable<Record>::changed(Value& value, const Units& units) {
  auto& row = static_cast<Row&>(value);
  row.pending += units;
  row.exists = true;
  if (!row.dirty) make_dirty(row);
}

template <typename Record>
bool CachedTable<Record>::make_dirty(Row& row) {
  if (dirty_.size() >= kMaxDirtyRows) {
    ++lost_;
    return false;
  }
  row.dirty = true;
  dirty_.push_back(&row);
  return true;
}

template <typename Record>
void CachedTable<Record>::bind_key(sql::Statement& statement, const Row& row) {
  statement.bind(1, row.id);
  int index = 2;
  for (const std::string& text : row.texts) statement.bind(index++, std::string_view{text});
}

template <typename Record>
bool CachedTable<Record>::read(Row& row) {
  if (db_ == nullptr) return false;
  const sql::Resetting resetting{select_};
  bind_key(select_, row);
  const int code = select_.step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) return false;
  row.generation = generation_;
  row.pending = {};
  if (code == SQLITE_ROW) {
    row.rowid = select_.integer(0);
    Record::read(row, select_, now_);
    row.exists = true;
  } else {
    row.rowid = 0;
    static_cast<Value&>(row) = Value{};
  }
  row.base = Record::columns(row);
  return true;
}

// The row may have been edited or deleted, or could not be read before: adds our units to what the
// table says.
template <typename Record>
bool CachedTable<Record>::rebase(Row& row) {
  const std::uint64_t generation = row.generation;
  const bool was_known = generation != 0;
  const auto base = row.base;
  const Units units = row.pending;
  const Value ours = static_cast<const Value&>(row);
  if (!read(row)) return false;
  row.pending = units;
  const bool untouched = was_known && row.base == base;
  // Another process may have been killed after it stored a row that it had loaded.
  const bool stored = generation == kLoaded && row.base == Record::columns(ours);
  if (untouched || stored || row.overwrites) {
    static_cast<Value&>(row) = ours;
  } else {
    Record::rebase(row, ours, units, now_);
    row.exists = true;
  }
  return true;
}

template <typename Record>
void CachedTable<Record>::overwrite_table() {
  rows_.each([this](Row& row) {
    // A row that could never be read holds only units counted since: they are added.
    row.overwrites = row.exists && row.generation != 0;
    if (row.overwrites && !row.dirty) make_dirty(row);
    return true;
  });
}

template <typename Record>
void CachedTable<Record>::save(std::string& out, char mark) const {
  for (const Row* row : dirty_) {
    out += mark;
    put_integer(out, row->id);
    for (const std::string& text : row->texts) put_text(out, text);
    const bool known = row->generation != 0;
    out += static_cast<char>((known ? kKnown : 0) | (row->overwrites ? kOverwrites : 0));
    Record::save(out, *row, row->pending, row->base);
  }
}

template <typename Record>
bool CachedTable<Record>::load(StateReader& in) {
  const auto id = in.integer();
  std::array<std::string_view, Record::kKeyTexts> texts;
  for (std::string_view& text : texts) {
    const auto read = in.text(kMaxTextBytes);
    if (!read) return false;
    text = *read;
  }
  const auto flags = in.byte();
  Row loaded;
  if (!id || !flags || !Record::load(in, loaded, loaded.pending, loaded.base)) return false;
  const Key key{*id, texts};
  const std::size_t hash = hash_of(key);
  if (rows_.find(hash, [&key](const Row& row) { return row.is(key); })) return true;
  Row& row = rows_.add(hash);
  row = std::move(loaded);
  row.id = key.id;
  std::copy(texts.begin(), texts.end(), row.texts.begin());
  row.exists = true;
  row.overwrites = (*flags & kOverwrites) != 0;
  // Never the current generation: the row is compared with the table when it is written.
  row.generation = (*flags & kKnown) != 0 ? kLoaded : 0;
  make_dirty(row);
  return true;
}

template <typename Record>
int CachedTable<Record>::write_dirty(std::size_t max) {
  if (db_ == nullptr) return SQLITE_CANTOPEN;
  for (written_ = 0; written_ < dirty_.size() && written_ < max; ++written_) {
    Row* row = dirty_[written_];
    if (row->generation != generation_ && !rebase(*row)) return sqlite3_errcode(db_);
    const int code = write(*row);
    if (code != SQLITE_DONE) return code;
  }
  return SQLITE_OK;
}

template <typename Record>
int CachedTable<Record>::write(Row& row) {
  const bool insert = row.rowid == 0;
  sql::Statement& statement = insert ? insert_ : update_;
  if (insert) {
    bind_key(statement, row);
  } else {
    statement.bind(1, row.rowid);
  }
  Record::bind(statement, row, scratch_);
  const int code = statement.run();
  if (code == SQLITE_DONE && insert) {
    row.rowid = sqlite3_last_insert_rowid(db_);
    inserted_.push_back(&row);
  }
  return code;
}

template <typename Record>
void CachedTable<Record>::committed() {
  const auto end = dirty_.begin() + static_cast<std::ptrdiff_t>(std::exchange(written_, 0));
  for (auto written = dirty_.begin(); written != end; ++written) {
    Row& row = **written;
    row.dirty = false;
    row.overwrites = false;
    row.pending = {};
    row.base = Record::columns(row);
  }
  dirty_.erase(dirty_.begin(), end);
  inserted_.clear();
}

template <typename Record>
void CachedTable<Record>::rolled_back() {
  for (Row* row : inserted_) row->rowid = 0;
  inserted_.clear();
  written_ = 0;
}

template <typename Record>
void CachedTable<Record>::end_batch() {
  // Dirty rows stay: each time they become the oldest they move to the front.
  for (int i = 0; rows_.size() > capacity_ && i < kEvictionsPerBatch; ++i) {
    if (rows_.oldest().dirty) {
      rows_.keep_oldest();
    } else {
      rows_.drop_oldest();
    }
  }
}

template class CachedTable<QuotaRecord>;
template class CachedTable<AccountingRecord>;

}  // namespace policyd
