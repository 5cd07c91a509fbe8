// SPDX-License-Identifier: AGPL-3.0-only
// What is wrong with the database at present: said in the log when it begins, again every minute
// while it lasts, and kept for the status. Three things can be wrong at once, each with an end of
// its own. Part of the SQLite store; the loop's thread.
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
  // The gravest first, which is the one that what() tells.
  enum class Kind : std::uint8_t {
    file,     // is gone, damaged, or may not be written any more
    log,      // the write-ahead log grows and grows
    writing,  // a batch could not be committed, or nothing is open
  };

  Trouble(Maillog& log, Millis remind_every) : log_(log), remind_every_(remind_every) {}

  // `what` in a sentence without a full stop, `therefore` what that means for the mail.
  void begin(Kind kind, std::string what, std::string_view therefore);
  void end(Kind kind) { now_[static_cast<std::size_t>(kind)].clear(); }
  // Says that it goes on, where that is due.
  void remind(std::size_t unstored);

  [[nodiscard]] bool is(Kind kind) const { return !now_[static_cast<std::size_t>(kind)].empty(); }
  [[nodiscard]] bool any() const { return !what().empty(); }
  [[nodiscard]] const std::string& what() const;  // empty while all is well

 private:
  Maillog& log_;
  Millis remind_every_;
  std::array<std::string, 3> now_;
  std::chrono::steady_clock::time_point reminded_;
};

}  // namespace policyd
