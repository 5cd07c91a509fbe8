// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/session_table.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

namespace policyd {

namespace {

// While nothing can be written; a few hundred bytes each.
constexpr std::size_t kMaxWaiting = 10'000;

// All texts of a row that are never NULL.
template <typename Row>
auto texts_of(Row& row) {
  return std::array{&row.instance,
                    &row.queue_id,
                    &row.client_address,
                    &row.client_name,
                    &row.client_reverse_name,
                    &row.protocol,
                    &row.encryption_protocol,
                    &row.encryption_cipher,
                    &row.encryption_keysize,
                    &row.sasl_method,
                    &row.sasl_sender,
                    &row.helo,
                    &row.sender,
                    &row.recipient_data};
}

}  // namespace

void SessionTable::attach(sqlite3* db, const std::string& table_prefix) {
  select_ = {};
  insert_ = {};
  db_ = nullptr;
  if (db == nullptr) return;
  auto done = select_.assign(db,
                             "SELECT QueueID, UnixTimestamp, ClientAddress, SASLUsername, Helo, "
                             "Sender, RecipientData FROM {p}session_tracking WHERE Instance = ?1",
                             table_prefix);
  if (done) {
    done = insert_.assign(db,
                          "INSERT OR REPLACE INTO {p}session_tracking (Instance, QueueID, "
                          "UnixTimestamp, ClientAddress, ClientName, ClientReverseName, Protocol, "
                          "EncryptionProtocol, EncryptionCipher, EncryptionKeySize, SASLMethod, "
                          "SASLSender, SASLUsername, Helo, Sender, Size, RecipientData) "
                          "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
                          table_prefix);
  }
  if (!done) {
    log_.error(fmt::format("finished messages are not written to session_tracking: {}",
                           done.error().message));
    return;
  }
  db_ = db;
  logged_ = false;
  read_open_messages(table_prefix);
}

// By the time, which is indexed, so that years of rows cost nothing (the + keeps SQLite from using
// the index on QueueID).
void SessionTable::read_open_messages(const std::string& table_prefix) {
  under_way_.clear();
  for (const SessionRow& row : rows_) {
    if (!row.ended()) under_way_.insert(row.instance);
  }
  auto select =
      sql::Statement::prepare(db_,
                              "SELECT Instance FROM {p}session_tracking "
                              "WHERE UnixTimestamp > CAST(strftime('%s', 'now') AS INTEGER) - 3600 "
                              "AND coalesce(+QueueID, '') = '' LIMIT 10000",
                              table_prefix);
  if (!select) return;
  while (select->step() == SQLITE_ROW) under_way_.emplace(select->text(0));
}

std::optional<SessionRow> SessionTable::find(std::string_view instance) {
  const auto latest = std::find_if(rows_.rbegin(), rows_.rend(),
                                   [&](const SessionRow& row) { return row.instance == instance; });
  if (latest != rows_.rend()) return *latest;
  if (db_ == nullptr) return std::nullopt;
  const sql::Resetting resetting{select_};
  select_.bind(1, instance);
  if (select_.step() != SQLITE_ROW) return std::nullopt;
  SessionRow row;
  row.instance = instance;
  row.queue_id = select_.text(0);
  row.unix_time_s = select_.integer(1);
  row.client_address = select_.text(2);
  row.sasl_username = select_.optional_text(3);
  row.helo = select_.text(4);
  row.sender = select_.text(5);
  row.recipient_data = select_.text(6);
  return row;
}

int SessionTable::write(std::size_t max) {
  const std::size_t count = db_ == nullptr ? rows_.size() : std::min(max, rows_.size());
  written_ = static_cast<std::ptrdiff_t>(count);
  for (std::size_t i = 0; db_ != nullptr && i < count; ++i) {
    const SessionRow& row = rows_[i];
    const int code = insert(row);
    if (code == SQLITE_DONE) {
      logged_ = false;
      continue;
    }
    if (!std::exchange(logged_, true)) {
      log_.error(fmt::format("session_tracking: cannot write message {}: {}", row.instance,
                             sql::message_of(db_)));
    }
    // Autocommit: SQLite rolled the transaction back, with the counters in it.
    if (sqlite3_get_autocommit(db_) != 0) return code;
  }
  return SQLITE_OK;
}

int SessionTable::insert(const SessionRow& row) {
  const std::array texts_before_sasl_username{
      &row.client_address,     &row.client_name,         &row.client_reverse_name,
      &row.protocol,           &row.encryption_protocol, &row.encryption_cipher,
      &row.encryption_keysize, &row.sasl_method,         &row.sasl_sender};
  insert_.bind(1, row.instance).bind(2, row.queue_id).bind(3, row.unix_time_s);
  int index = 4;
  for (const std::string* text : texts_before_sasl_username) insert_.bind(index++, *text);
  if (row.sasl_username) {
    insert_.bind(13, *row.sasl_username);
  } else {
    insert_.bind_null(13);
  }
  insert_.bind(14, row.helo).bind(15, row.sender);
  insert_.bind(16, row.size_kib).bind(17, row.recipient_data);
  return insert_.run();
}

void SessionTable::end_batch() {
  if (rows_.size() <= kMaxWaiting) return;
  rows_.erase(rows_.begin(), rows_.end() - kMaxWaiting / 2);
}

void SessionTable::save(std::string& out, char mark) const {
  for (const SessionRow& row : rows_) {
    out += mark;
    for (const std::string* text : texts_of(row)) put_text(out, *text);
    out += row.sasl_username ? '\1' : '\0';
    put_text(out, row.sasl_username.value_or(std::string{}));
    put_integer(out, row.unix_time_s);
    put_integer(out, row.size_kib);
  }
}

bool SessionTable::load(StateReader& in) {
  SessionRow row;
  for (std::string* text : texts_of(row)) {
    const auto read = in.text(kMaxRecipientData);
    if (!read) return false;
    *text = *read;
  }
  const auto has_username = in.byte();
  const auto username = in.text(kMaxRecipientData);
  const auto time_s = in.integer();
  const auto size_kib = in.integer();
  if (!has_username || !username || !time_s || !size_kib) return false;
  if (*has_username != 0) row.sasl_username = *username;
  row.unix_time_s = *time_s;
  row.size_kib = *size_kib;
  if (!row.ended()) under_way_.insert(row.instance);
  rows_.push_back(std::move(row));
  return true;
}

}  // namespace policyd
