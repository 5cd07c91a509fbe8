// SPDX-License-Identifier: AGPL-3.0-only
// The contract between decisions and what they are counted in. The engine hands over a batch; the
// store runs it once on the counters as everything committed before left them, writes what it
// changed as absolute states, and then says that answers may go out. SQLite does all of that
// inline; another engine may do it in one round trip.
//
// What a crash loses: nothing whose `done` was called with Outcome::stored. Of what was answered
// from memory (Outcome::remembered: the database is in trouble) as much as is not yet written.
// With durability=commit, loss of power may also lose the last moments of what was stored.
//
// All calls on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/counting/counters.hpp"
#include "daemon/rules/rules.hpp"
#include "daemon/session/session_row.hpp"
#include "daemon/store/greylisting_tables.hpp"
#include "daemon/store/helo_tracking.hpp"

namespace policyd {

// What a batch may do while it is decided. References to counters hold until its end.
class Transaction {
 public:
  Transaction() = default;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  virtual ~Transaction() = default;

  // The rules in force for this batch; null only where none could ever be read.
  [[nodiscard]] virtual const std::shared_ptr<const Rules>& rules() const = 0;
  [[nodiscard]] virtual TimePoint now() const = 0;

  // The counter of this limit and track key; one at 0 where there is none or none can be read.
  virtual Counter& counter(std::int64_t limit_id, std::string_view track_key) = 0;
  // `counter` is to be stored; it grew by `units` since it was read.
  virtual void changed(Counter& counter, double units) = 0;

  // The same for a row of accounting, its track key and period key.
  virtual AccountingCounter& accounting(std::int64_t accounting_id, std::string_view track_key,
                                        std::string_view period_key) = 0;
  virtual void changed(AccountingCounter& counter, const AccountingUnits& units) = 0;

  // Null while the database cannot be used: then nothing is known of any triplet.
  virtual GreylistingTables* greylisting() = 0;

  // The message of this instance as another process left it; nullopt where there is none, or none
  // can be read. And one that ends, for reports: with trouble it is simply not written.
  virtual std::optional<SessionRow> session(std::string_view instance) = 0;
  // Whether such a message was under way when we started; cheap, for each RCPT.
  [[nodiscard]] virtual bool was_under_way(std::string_view instance) const = 0;
  virtual void put_session(SessionRow row) = 0;

  // Null while the database cannot be used: then nothing is known of former HELO names.
  virtual HeloTracking* helo_tracking() = 0;

  // A question, by its hash, is decided from here on. Whether it was counted shortly before a
  // crash, and must not be again.
  [[nodiscard]] virtual bool begin_question(std::uint64_t question) = 0;
  // It passes: to be known after a crash, where something was written for it.
  virtual void end_question(std::uint64_t question) = 0;
};

class Store {
 public:
  enum class Outcome : std::uint8_t { stored, remembered };
  using Decide = std::function<void(Transaction&)>;
  using Done = std::function<void(Outcome)>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // What `decide` uses of its Transaction: whatever it has, or neither greylisting() nor
  // helo_tracking(), which are then null.
  enum class Uses : std::uint8_t { everything, counters };
  // Runs `decide` once, then `done` once, perhaps both before it returns, and `done` at most
  // 50 ms later. One batch at a time: the next only after `done`.
  virtual void commit(TimePoint now, Uses uses, Decide decide, Done done) = 0;

  // The rules as last read; null where none could be read yet.
  [[nodiscard]] virtual const std::shared_ptr<const Rules>& rules() const = 0;

  // What is wrong with the database at present, in a sentence; empty while all is well.
  [[nodiscard]] virtual const std::string& trouble() const = 0;

  // Tries for at most `patience` to store what is only remembered; then says what is lost.
  virtual void close(std::chrono::milliseconds patience) = 0;
};

}  // namespace policyd
