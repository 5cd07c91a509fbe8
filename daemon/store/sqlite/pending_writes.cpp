// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/pending_writes.hpp"

#include <algorithm>
#include <cstring>

namespace policyd {

namespace {
// Batches whose questions are remembered for Postfix's retry after a crash. Only questions without
// an answer are repeated: those of the last batch; the rest is reserve.
constexpr std::int64_t kRingSlots = 16;
// A batch has fewer; more wait at a stop.
constexpr std::size_t kMaxSessionsAtOnce = 1000;
// Before each row in what is saved.
constexpr char kQuota = 1;
constexpr char kAccounting = 2;
constexpr char kSession = 3;
}  // namespace

PendingWrites::PendingWrites(Maillog& log, const RulesSource& rules, std::size_t cache_entries)
    : rules_(rules),
      now_(wall_clock()),
      quotas_(cache_entries, now_),
      accounting_(cache_entries, now_),
      greylisting_(log),
      helo_tracking_(log),
      sessions_(log) {}

Result<void> PendingWrites::attach(sqlite3* db, const std::string& table_prefix) {
  auto done = quotas_.attach(db, table_prefix);
  if (done) done = accounting_.attach(db, table_prefix);
  if (done) done = read_counted(db, table_prefix);
  if (done) {
    done = put_hashes_.assign(
        db, "INSERT OR REPLACE INTO {p}limits_counted (Slot, Hashes) VALUES (?1, ?2)",
        table_prefix);
  }
  if (!done) return done;
  greylisting_.attach(db, table_prefix);
  helo_tracking_.attach(db, table_prefix);
  sessions_.attach(db, table_prefix);
  return {};
}

void PendingWrites::detach() {
  each_counter_table([](auto& table) { static_cast<void>(table.attach(nullptr, {})); });
  greylisting_.attach(nullptr, {});
  helo_tracking_.attach(nullptr, {});
  sessions_.attach(nullptr, {});
  put_hashes_ = {};
}

Result<void> PendingWrites::read_counted(sqlite3* db, const std::string& table_prefix) {
  auto select = sql::Statement::prepare(db, "SELECT Hashes FROM {p}limits_counted", table_prefix);
  if (!select) return tl::unexpected{select.error()};
  while (select->step() == SQLITE_ROW) {
    const std::string_view hashes = select->blob(0);
    for (std::size_t at = 0; at + sizeof(std::uint64_t) <= hashes.size();
         at += sizeof(std::uint64_t)) {
      std::uint64_t hash = 0;
      std::memcpy(&hash, hashes.data() + at, sizeof hash);
      counted_before_.insert(hash);
    }
  }
  return {};
}

void PendingWrites::begin_batch(TimePoint now) {
  now_ = now;
  each_counter_table([now](auto& table) { table.begin_batch(now); });
}

int PendingWrites::decide(Store::Uses uses, const Store::Decide& decide) {
  if (uses != Store::Uses::everything) {
    decide(*this);
    return SQLITE_OK;
  }
  greylisting_.begin_batch();
  helo_tracking_.begin_batch();
  decide(*this);
  const int greylisting = greylisting_.end_batch();
  const int helo_tracking = helo_tracking_.end_batch();
  return greylisting != SQLITE_OK ? greylisting : helo_tracking;
}

void PendingWrites::end_batch() {
  each_counter_table([](auto& table) { table.end_batch(); });
  sessions_.end_batch();
  hashes_.clear();
}

std::string PendingWrites::save() const {
  std::string out;
  quotas_.save(out, kQuota);
  accounting_.save(out, kAccounting);
  sessions_.save(out, kSession);
  return out;
}

Result<void> PendingWrites::load(std::string_view saved) {
  for (StateReader in{saved}; !in.at_end();) {
    const int mark = *in.byte();
    const bool known = mark == kQuota        ? quotas_.load(in)
                       : mark == kAccounting ? accounting_.load(in)
                       : mark == kSession    ? sessions_.load(in)
                                             : false;
    if (!known) return failure("it is not of this version");
  }
  return {};
}

int PendingWrites::write(std::size_t max) {
  int code = quotas_.write_dirty(max);
  if (code == SQLITE_OK) code = accounting_.write_dirty(max);
  if (code == SQLITE_OK) code = write_hashes();
  if (code == SQLITE_OK) code = sessions_.write(std::min(max, kMaxSessionsAtOnce));
  return code;
}

int PendingWrites::write_hashes() {
  if (hashes_.empty()) return SQLITE_OK;
  put_hashes_.bind(1, next_slot_).bind_blob(2, hashes_);
  const int code = put_hashes_.run();
  if (code != SQLITE_DONE) return code;
  next_slot_ = (next_slot_ + 1) % kRingSlots;
  return SQLITE_OK;
}

void PendingWrites::changed(Counter& counter, double units) {
  record_question_ = true;
  quotas_.changed(counter, units);
}

void PendingWrites::changed(AccountingCounter& counter, const AccountingUnits& units) {
  record_question_ = true;
  accounting_.changed(counter, units);
}

bool PendingWrites::begin_question(std::uint64_t question) {
  // One that was counted before a crash is recorded again, since another crash may follow.
  record_question_ = !counted_before_.empty() && counted_before_.contains(question);
  return record_question_;
}

void PendingWrites::end_question(std::uint64_t question) {
  if (record_question_) hashes_.append(reinterpret_cast<const char*>(&question), sizeof question);
}

}  // namespace policyd
