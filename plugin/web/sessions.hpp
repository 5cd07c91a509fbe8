// SPDX-License-Identifier: AGPL-3.0-only
// Who is signed in to the page. In memory: a restart of its process signs everybody out. One
// thread.
#pragma once

#include <chrono>
#include <list>
#include <string>
#include <string_view>

#include "plugin/web/link.hpp"

namespace limits {

struct Session {
  std::string cookie;
  std::string change_token;  // that each change must name, which other sites cannot read
  std::string who;           // "the page, signed in as root on pts/0 (sudo by anna)"
  bool write = false;
  policyd::TimePoint ends{};
  std::string message;  // what the last form did, for the page that is shown next
};

class Sessions {
 public:
  static constexpr std::chrono::hours kLasts{8};
  static constexpr std::size_t kMax = 200;  // the oldest one is signed out for the next

  const Session& open(const Link& link, policyd::TimePoint now);
  // Null if there is none, or it has ended.
  [[nodiscard]] Session* find(std::string_view cookie, policyd::TimePoint now);
  void close(std::string_view cookie);

 private:
  std::list<Session> all_;  // the latest first
};

}  // namespace limits
