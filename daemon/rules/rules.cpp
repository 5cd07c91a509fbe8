// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/rules.hpp"

namespace policyd {

bool RowVerdict::is_for_access_control() const {
  return kind == Kind::action && action != Action::dunno && action != Action::defer &&
         action != Action::prepend;
}

bool RowVerdict::is_for_limits() const {
  return kind == Kind::action && action != Action::ok && action != Action::pass &&
         action != Action::dunno && action != Action::prepend;
}

RowVerdict RowVerdict::parse(std::string_view text) {
  RowVerdict verdict;
  verdict.text = text;
  if (text.empty()) return verdict;
  const auto action = parse_action(text);
  verdict.kind = action ? Kind::action : Kind::invalid;
  verdict.action = action.value_or(Action::defer);
  return verdict;
}

}  // namespace policyd
