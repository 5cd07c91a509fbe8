// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/store/recovery/trouble.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace policyd {

void Trouble::begin(Kind kind, std::string what, std::string_view consequence, Millis unnoticed) {
  std::string& current = now_[static_cast<std::size_t>(kind)];
  const auto now = std::chrono::steady_clock::now();
  // While batches cannot be committed the reasons may alternate: one line is enough.
  const bool known = kind == Kind::writing ? !current.empty() : current == what;
  const bool waits = kind == unlogged_kind_ && !unlogged_.empty();
  if (!known || (waits && unnoticed == Millis{0})) {
    std::string line = fmt::format("database trouble: {}; {}", what, consequence);
    if (waits) unlogged_.clear();
    if (unnoticed > Millis{0}) {
      unlogged_ = std::move(line);
      unlogged_kind_ = kind;
      due_ = now + unnoticed;
    } else {
      log_.error(line);
      reminded_ = now;
    }
  }
  current = std::move(what);
}

bool Trouble::end(Kind kind) {
  const bool unlogged = kind == unlogged_kind_ && !std::exchange(unlogged_, {}).empty();
  return !std::exchange(now_[static_cast<std::size_t>(kind)], {}).empty() && !unlogged;
}

void Trouble::remind(std::size_t unstored) {
  const auto now = std::chrono::steady_clock::now();
  if (!unlogged_.empty()) {
    if (now < due_) return;
    log_.error(std::exchange(unlogged_, {}));
    reminded_ = now;
  }
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
