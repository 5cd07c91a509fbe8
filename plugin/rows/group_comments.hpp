// SPDX-License-Identifier: AGPL-3.0-only
// What we write into the columns Comment. The words are stored in databases, so they stay.
#pragma once

#include <string_view>

namespace limits {

inline constexpr std::string_view kGroupComment = "These have limits of their own";
inline constexpr std::string_view kExemptComment = "Exempt";

}  // namespace limits
