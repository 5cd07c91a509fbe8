// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/sessions.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "plugin/web/random_text.hpp"

namespace limits {

const Session& Sessions::open(const Link& link, policyd::TimePoint now) {
  constexpr std::size_t kSessionBytes = 32;
  all_.remove_if([&](const Session& one) { return one.ends <= now; });
  if (all_.size() >= kMax) all_.pop_back();
  all_.push_front({random_text(kSessionBytes),
                   random_text(kSessionBytes),
                   fmt::format("the page, signed in as {}", link.who),
                   link.write,
                   now + kLasts,
                   {}});
  return all_.front();
}

Session* Sessions::find(std::string_view cookie, policyd::TimePoint now) {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const Session& one) {
    return is_same_secret(one.cookie, cookie);
  });
  // Also one of a clock that was set back since.
  const bool lasts = found != all_.end() && found->ends > now && found->ends <= now + kLasts;
  return lasts ? &*found : nullptr;
}

void Sessions::close(std::string_view cookie) {
  all_.remove_if([&](const Session& one) { return is_same_secret(one.cookie, cookie); });
}

}  // namespace limits
