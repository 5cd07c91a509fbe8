// SPDX-License-Identifier: AGPL-3.0-only
// That limits are not shared at the moment, in the log: when it begins, each minute while it lasts,
// and when it ends; no more than that a minute when it comes and goes. The loop's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/log/maillog.hpp"

namespace policyd {

class SharingTrouble {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  // What the engine has that it should not have; each is logged at most once a minute.
  enum class Odd : std::uint8_t { reply, key, field, question, count };

  SharingTrouble(Maillog& log, Millis remind_every) : log_(log), remind_every_(remind_every) {}

  // `what` is a sentence without a full stop, `consequence` what holds meanwhile.
  void begin(std::string what, std::string consequence, Steady now);
  void end(Steady now);
  void remind(Steady now);  // if that is due
  void odd(Odd kind, std::string_view line, Steady now);

  [[nodiscard]] const std::string& what() const { return what_; }  // empty if there is none

 private:
  void log_what(std::string_view intro, Steady now);

  Maillog& log_;
  Millis remind_every_;
  std::string what_;
  std::string consequence_;
  Steady since_;
  std::optional<Steady> logged_at_;  // the last line that it began, or continues
  bool logged_ = false;              // what_ was
  std::array<std::optional<Steady>, static_cast<std::size_t>(Odd::count)> odd_at_;
};

}  // namespace policyd
