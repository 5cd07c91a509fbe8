// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol/verdict.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

// In the order of the enumeration, so that an action is an index.
constexpr std::array<std::string_view, 10> kNames = {
    "dunno", "ok", "pass", "reject", "defer", "hold", "discard", "filter", "redirect", "prepend"};
static_assert(kNames.size() == static_cast<std::size_t>(Action::prepend) + 1);

}  // namespace

std::optional<Action> parse_action(std::string_view text) {
  std::string word(text);
  lower_case(word);
  const auto* found = std::find(kNames.begin(), kNames.end(), word);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Action>(found - kNames.begin());
}

std::string_view name_of(Action action) {
  const auto index = static_cast<std::size_t>(action);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace policyd
