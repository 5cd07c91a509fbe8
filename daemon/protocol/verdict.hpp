// SPDX-License-Identifier: AGPL-3.0-only
// The answer of a module, and the words for it in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace policyd {

// The actions of Postfix's access(5) that CBPolicyD knows. `pass` is DUNNO followed by a text.
enum class Action : std::uint8_t {
  dunno,
  ok,
  pass,
  reject,
  defer,
  hold,
  discard,
  filter,
  redirect,
  prepend,
};

struct Verdict {
  Action action = Action::dunno;
  std::string text;

  // Whether the mail, or this recipient of it, is not accepted now.
  [[nodiscard]] bool refuses() const { return action == Action::reject || action == Action::defer; }
};

// Parses a Verdict column, in any case; nullopt if it is not a valid Verdict. Callers handle NULL
// and the empty string, whose meaning depends on the module.
std::optional<Action> parse_action(std::string_view text);

// In lower case, as in log lines (`action=defer`).
std::string_view name_of(Action action);

}  // namespace policyd
