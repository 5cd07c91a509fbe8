// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/protocol/verdict.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

struct Name {
  Action action;
  std::string_view text;
};

// In the order of the enumeration, so that an action is an index.
constexpr std::array kNames = {
    Name{Action::dunno, "dunno"},       Name{Action::ok, "ok"},
    Name{Action::pass, "pass"},         Name{Action::reject, "reject"},
    Name{Action::defer, "defer"},       Name{Action::hold, "hold"},
    Name{Action::discard, "discard"},   Name{Action::filter, "filter"},
    Name{Action::redirect, "redirect"}, Name{Action::prepend, "prepend"},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (static_cast<std::size_t>(kNames[i].action) != i) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

std::optional<Action> parse_action(std::string_view text) {
  std::string word(text);
  lower_case(word);
  const auto* found = std::find_if(kNames.begin(), kNames.end(),
                                   [&word](const Name& name) { return name.text == word; });
  if (found == kNames.end()) return std::nullopt;
  return found->action;
}

std::string_view name_of(Action action) {
  const auto index = static_cast<std::size_t>(action);
  return index < kNames.size() ? kNames[index].text : "unknown";
}

}  // namespace policyd
