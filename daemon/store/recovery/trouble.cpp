// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/trouble.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace policyd {

void Trouble::begin(Kind kind, std::string what, std::string_view consequence) {
  std::string& current = now_[static_cast<std::size_t>(kind)];
  // While batches cannot be committed the reasons may alternate: one line is enough.
  const bool logged = kind == Kind::writing ? !current.empty() : current == what;
  if (!logged) {
    log_.error(fmt::format("database trouble: {}; {}", what, consequence));
    reminded_ = std::chrono::steady_clock::now();
  }
  current = std::move(what);
}

void Trouble::remind(std::size_t unstored) {
  const auto now = std::chrono::steady_clock::now();
  if (what().empty() || now - reminded_ < remind_every_) return;
  reminded_ = now;
  log_.error(fmt::format("database trouble continues: {}; {} counters are not stored yet", what(),
                         unstored));
}

const std::string& Trouble::what() const {
  const auto* first = std::find_if(now_.begin(), now_.end() - 1,
                                   [](const std::string& text) { return !text.empty(); });
  return *first;
}

}  // namespace policyd
