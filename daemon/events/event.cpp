// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/events/event.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace policyd {
namespace {

// By EventKind.
constexpr std::array<std::string_view, kEventKinds> kEventNames = {
    "refused",  "watched",   "let_through", "near",        "locked",
    "released", "reset",     "rules",       "paused",      "resumed",
    "trouble",  "recovered", "engine_lost", "engine_back", "suspect"};
static_assert(static_cast<std::size_t>(EventKind::suspect) + 1 == kEventKinds);

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

std::string_view name_of(EventKind kind) { return kEventNames.at(static_cast<std::size_t>(kind)); }

std::optional<EventKind> parse_event_kind(std::string_view text) {
  const auto* found = std::find(kEventNames.begin(), kEventNames.end(), text);
  if (found == kEventNames.end()) return std::nullopt;
  return static_cast<EventKind>(found - kEventNames.begin());
}

std::string_view cut(std::string_view text, std::size_t max) {
  if (text.size() <= max) return text;
  while (max > 0 && continues_character(text[max])) --max;
  return text.substr(0, max);
}

}  // namespace policyd
