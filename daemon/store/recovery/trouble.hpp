// SPDX-License-Identifier: AGPL-3.0-only
// The current problems with the database: logged when they begin, again every minute while they
// last, and reported by the status. Three can exist at once, and each ends on its own. Part of the
// SQLite store; the loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

class Trouble {
 public:
  // The most serious first, which is the one that what() returns.
  enum class Kind : std::uint8_t {
    file,     // deleted, damaged, or no longer writable
    log,      // the write-ahead log keeps growing
    writing,  // a batch could not be committed, or nothing is open
  };

  Trouble(Maillog& log, Millis remind_every) : log_(log), remind_every_(remind_every) {}

  // `what` is a sentence without a full stop, `consequence` what it means for the mail. One that
  // ends within `unnoticed`, as a short lock does, is not logged.
  void begin(Kind kind, std::string what, std::string_view consequence, Millis unnoticed = {});
  // Whether it had been logged.
  bool end(Kind kind);
  // Logs what has lasted long enough, or that it continues, if that is due.
  void remind(std::size_t unstored);

  [[nodiscard]] bool is(Kind kind) const { return !now_[static_cast<std::size_t>(kind)].empty(); }
  [[nodiscard]] const std::string& what() const;  // empty if there is none

 private:
  Maillog& log_;
  Millis remind_every_;
  std::array<std::string, 3> now_;
  std::chrono::steady_clock::time_point reminded_;
  std::string unlogged_;  // the line that may be due
  Kind unlogged_kind_ = Kind::writing;
  std::chrono::steady_clock::time_point due_;
};

}  // namespace policyd
