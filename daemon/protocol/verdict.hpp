// SPDX-License-Identifier: AGPL-3.0-only
// What a module answers, and how the verdict of a row reads in the database.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace policyd {

// The actions of Postfix's access(5) that CBPolicyD knows. `pass` is DUNNO with a text behind it.
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

  // Whether the mail (or this recipient of it) goes no further for now.
  [[nodiscard]] bool refuses() const { return action == Action::reject || action == Action::defer; }
};

// The Verdict column, any case; nullopt for a word that is none. NULL and the empty string are the
// caller's matter: what they mean depends on the module.
std::optional<Action> parse_action(std::string_view text);

// In lower case, as the log has it (`action=defer`).
std::string_view name_of(Action action);

}  // namespace policyd
