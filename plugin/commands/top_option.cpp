// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/commands/top_option.hpp"

#include <fmt/core.h>

#include "daemon/base/ascii.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

tl::expected<std::optional<std::size_t>, Failure> top_of(const Arguments& arguments,
                                                         std::size_t most) {
  const auto text = arguments.value("top");
  if (!text) return std::nullopt;
  const auto number = policyd::parse_number<std::size_t>(*text);
  if (number.value_or(0) >= 1 && *number <= most) return number;
  return wrong_use(
      fmt::format("not a valid --top: '{}'; give a whole number from 1 to {}", shown(*text), most));
}

}  // namespace limits
