// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/limit/duration.hpp"

#include <fmt/core.h>

#include "plugin/limit/rate_spec.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {

policyd::Result<std::chrono::seconds> parse_duration(std::string_view text,
                                                     std::chrono::seconds min,
                                                     std::chrono::seconds max,
                                                     std::string_view bounds) {
  const bool alone = text.find_first_of("/,") == std::string_view::npos;
  const auto rates = parse_limit(fmt::format("1/{}", text));
  const bool valid = alone && rates && rates->size() == 1 && rates->front().period >= min &&
                     rates->front().period <= max;
  if (valid) return rates->front().period;
  return policyd::failure(fmt::format(
      "not a valid duration: '{}'; write 90s, 10min, 2h or 1day ({})", shown(text), bounds));
}

}  // namespace limits
