// SPDX-License-Identifier: AGPL-3.0-only
// The contract between decisions and the counters they change. The engine hands over a batch; the
// store runs it once on the counters as all earlier commits left them, writes the changed ones as
// absolute states, and then reports that the answers may be sent. SQLite does all of that inline;
// another engine may do it in one round trip.
//
// What a crash loses: nothing of a batch whose `done` was called with Outcome::stored. Of batches
// answered from memory (Outcome::remembered: the database is in trouble), whatever is not written
// yet. With durability=commit a power failure may also lose the last moments of what was stored.
//
// All calls on the loop's thread.
#pragma once

#include <boost/core/noncopyable.hpp>
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

// What a batch may do while it is decided. References to counters are valid until its end.
class Transaction : boost::noncopyable {
 public:
  virtual ~Transaction() = default;

  // The rules in force for this batch; null only if none could ever be read.
  [[nodiscard]] virtual const std::shared_ptr<const Rules>& rules() const = 0;
  [[nodiscard]] virtual TimePoint now() const = 0;

  // The counter of this limit and track key; 0 if there is none or it cannot be read.
  virtual Counter& counter(std::int64_t limit_id, std::string_view track_key) = 0;
  // Stores `counter`, which grew by `units` since it was read.
  virtual void changed(Counter& counter, double units) = 0;

  // The same for a row of accounting, its track key and period key.
  virtual AccountingCounter& accounting(std::int64_t accounting_id, std::string_view track_key,
                                        std::string_view period_key) = 0;
  virtual void changed(AccountingCounter& counter, const AccountingUnits& units) = 0;

  // Null while the database cannot be used: no triplet is known then.
  virtual GreylistingTables* greylisting() = 0;

  // The message of this instance as another process left it; nullopt if there is none, or if it
  // cannot be read.
  virtual std::optional<SessionRow> session(std::string_view instance) = 0;
  // Whether such a message was open when we started; cheap, for each RCPT.
  [[nodiscard]] virtual bool was_under_way(std::string_view instance) const = 0;
  // A message that ends, for reports; during trouble it is not written.
  virtual void put_session(SessionRow row) = 0;

  // Null while the database cannot be used: no earlier HELO name is known then.
  virtual HeloTracking* helo_tracking() = 0;

  // The question with this hash is decided next. True if it was counted shortly before a crash, and
  // must not be counted again.
  [[nodiscard]] virtual bool begin_question(std::uint64_t question) = 0;
  // It passes: recorded for the case of a crash, if something was written for it.
  virtual void end_question(std::uint64_t question) = 0;
};

class Store : boost::noncopyable {
 public:
  enum class Outcome : std::uint8_t { stored, remembered };
  using Decide = std::function<void(Transaction&)>;
  using Done = std::function<void(Outcome)>;

  virtual ~Store() = default;

  // What `decide` uses of its Transaction: everything, or neither greylisting() nor
  // helo_tracking(), which are null then. counters_to_read: most likely it changes nothing, either.
  enum class Uses : std::uint8_t { everything, counters, counters_to_read };
  // Calls `decide` once, then `done` once, perhaps both before it returns, and `done` at most
  // 50 ms later. One batch at a time: the next only after `done`.
  virtual void commit(TimePoint now, Uses uses, Decide decide, Done done) = 0;

  // The rules as last read; null if none could be read yet.
  [[nodiscard]] virtual const std::shared_ptr<const Rules>& rules() const = 0;

  // The current problem with the database, as a sentence; empty if there is none.
  [[nodiscard]] virtual const std::string& trouble() const = 0;

  // Tries for at most `patience` to store what is only in memory; then logs what is lost.
  virtual void close(std::chrono::milliseconds patience) = 0;
};

}  // namespace policyd
