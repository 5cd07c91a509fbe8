// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/sharing_trouble.hpp"

#include <fmt/core.h>

#include <utility>

namespace policyd {

void SharingTrouble::begin(std::string what, std::string consequence, Steady now) {
  const bool begins = what_.empty();
  what_ = std::move(what);
  consequence_ = std::move(consequence);
  if (!begins) return;
  since_ = now;
  logged_ = false;
  if (!logged_at_ || now - *logged_at_ >= remind_every_) log_what("cluster trouble", now);
}

void SharingTrouble::end(Steady now) {
  if (what_.empty()) return;
  what_.clear();
  if (!logged_) return;
  const auto lasted = std::chrono::ceil<std::chrono::seconds>(now - since_);
  log_.notice(fmt::format("cluster: limits are shared again, after {} s", lasted.count()));
}

void SharingTrouble::remind(Steady now) {
  if (what_.empty() || (logged_at_ && now - *logged_at_ < remind_every_)) return;
  log_what(logged_ ? "cluster trouble continues" : "cluster trouble", now);
}

void SharingTrouble::log_what(std::string_view intro, Steady now) {
  log_.error(fmt::format("{}: {}; {}", intro, what_, consequence_));
  logged_at_ = now;
  logged_ = true;
}

void SharingTrouble::odd(Odd kind, std::string_view line, Steady now) {
  auto& at = odd_at_[static_cast<std::size_t>(kind)];
  if (at && now - *at < remind_every_) return;
  at = now;
  log_.warning(fmt::format("cluster: {}", line));
}

}  // namespace policyd
