// SPDX-License-Identifier: AGPL-3.0-only
// Module Greylisting through the engine and a real database, on a clock that the test turns. One
// policy for everybody greylists networks of 256 addresses for 240 s.
#pragma once

#include <fmt/core.h>
#include "daemon/base/ip_address.hpp"

#include "tests/unit/daemon/modules/engine_fixture.hpp"

namespace policyd {

using std::chrono::seconds;

inline constexpr char kDefer[] = "451 4.7.1 come back";
inline constexpr char kReject[] = "REJECT go away";
inline constexpr char kKey[] = "SenderIP:192.0.2.0/24";

class GreylistingTest : public EngineFixture {
 protected:
  void SetUp() override {
    config_.greylisting = true;
    config_.greylisting_defer_message = "come back";
    config_.greylisting_blacklist_message = "go away";
    start();
    add_policy();
    admin(
        "INSERT INTO greylisting (PolicyID, Name, UseGreylisting, GreylistPeriod, Track)"
        " VALUES (1, 'g', 1, 240, 'SenderIP:/24')");
  }

  // A new mail of this sender.
  std::string mail(std::string_view sender, std::string_view recipient = "bob@example.com",
                   std::string_view client = "192.0.2.1") {
    const std::string instance = fmt::format("1.{}", ++mails_);
    Request request = rcpt(instance, recipient);
    request.sender = sender;
    request.client_address = *IpAddress::parse(client);
    return answer(request);
  }

  void pass_time(seconds time) { now_ += time; }

  // Triplets of kKey first seen so many seconds ago; the first `passed` of them were let through.
  void add_triplets(int total, int passed, int seconds_ago = 0) {
    for (int i = 0; i < total; ++i) {
      admin(fmt::format(
          "INSERT INTO greylisting_tracking VALUES ('{}', 's{}@x', 'r@y', {}, {}, 1, {})", kKey,
          ++triplets_, noon_s() - seconds_ago, noon_s() - seconds_ago, i < passed ? 1 : 0));
    }
  }

  static std::int64_t noon_s() { return kNoon.time_since_epoch().count() / 1000; }

  std::string triplet(const std::string& sender) {
    return ask_admin(fmt::format(
        "SELECT TrackKey || ' ' || Recipient || ' ' || (FirstSeen - {0}) || ' ' || (LastUpdate - "
        "{0}) || ' ' || Tries || ' ' || Count FROM greylisting_tracking WHERE Sender = '{1}'",
        noon_s(), sender));
  }

  std::string auto_whitelist() {
    return ask_admin(fmt::format(
        "SELECT TrackKey || ' ' || (Added - {0}) || ' ' || (LastSeen - {0}) || ' ' || Comment"
        " FROM greylisting_autowhitelist",
        noon_s()));
  }

  std::string auto_blacklist() {
    return ask_admin(
        fmt::format("SELECT TrackKey || ' ' || (Added - {}) || ' ' || Comment"
                    " FROM greylisting_autoblacklist",
                    noon_s()));
  }

  // The last line of the log, from "module=" on.
  std::string last_line() {
    const std::string text = log_text();
    if (text.empty()) return text;
    const std::size_t end = text.size() - 1;
    return text.substr(text.rfind('\n', end - 1) + 1, end - text.rfind('\n', end - 1) - 1);
  }

  int mails_ = 0;
  int triplets_ = 0;
};

}  // namespace policyd
