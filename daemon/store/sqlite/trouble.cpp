// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/sqlite/trouble.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace policyd {

void Trouble::begin(Kind kind, std::string what, std::string_view therefore) {
  std::string& place = now_[static_cast<std::size_t>(kind)];
  // While a batch cannot be committed the reasons may take turns: one line is enough.
  const bool said = kind == Kind::writing ? !place.empty() : place == what;
  if (!said) {
    log_.error(fmt::format("database trouble: {}; {}", what, therefore));
    reminded_ = std::chrono::steady_clock::now();
  }
  place = std::move(what);
}

void Trouble::remind(std::size_t unstored) {
  const auto now = std::chrono::steady_clock::now();
  if (!any() || now - reminded_ < remind_every_) return;
  reminded_ = now;
  log_.error(
      fmt::format("database trouble goes on: {}; {} counters wait to be stored", what(), unstored));
}

const std::string& Trouble::what() const {
  const auto* first = std::find_if(now_.begin(), now_.end() - 1,
                                   [](const std::string& text) { return !text.empty(); });
  return *first;
}

}  // namespace policyd
