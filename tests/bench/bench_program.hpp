// SPDX-License-Identifier: AGPL-3.0-only
// What the bench programs share: numbers of the command line, and percentiles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "daemon/base/ascii.hpp"

// The value below which `fraction` (0 to 1) of the values are; reorders them.
inline float percentile(std::vector<float>& values, double fraction) {
  if (values.empty()) return 0;
  const auto index = static_cast<std::ptrdiff_t>(static_cast<double>(values.size() - 1) * fraction);
  std::nth_element(values.begin(), values.begin() + index, values.end());
  return values[static_cast<std::size_t>(index)];
}

// False, and `value` is as it was, unless all of `text` is a number that fits.
template <typename T>
bool parse_number(std::string_view text, T& value) {
  const auto number = policyd::parse_number<T>(text);
  value = number.value_or(value);
  return number.has_value();
}
