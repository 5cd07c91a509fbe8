// SPDX-License-Identifier: AGPL-3.0-only
// Rows back into the words of a limit: the inverse of target.hpp. Pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugin/limit/target.hpp"

namespace limits {

// What rows say, as far as it can be said in these words.
struct Recognised {
  std::optional<Direction> direction;
  std::optional<Per> per;
  std::optional<Target> target;
  std::optional<std::string> except_group;
};
// `hint` decides where the rows are the same for both directions (anyone, by client or in all).
Recognised recognise(std::span<const MemberText> members, std::string_view track, Direction hint);

// Members that are not recognised, in words: "@example.net → anyone".
std::string say_members(std::span<const MemberText> members);

}  // namespace limits
