// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/labelled.hpp"

#include <algorithm>

#include "plugin/terminal/text.hpp"
#include "plugin/terminal/wrap.hpp"

namespace limits {

void print_labelled(Output& output, const std::string& label, Colour colour,
                    std::string_view text) {
  constexpr std::size_t kLeastWidth = 30;
  const std::size_t width = output.style().width;
  const std::size_t left = width_of(label);
  const auto lines =
      wrapped(text, width == 0 ? 0 : std::max(kLeastWidth, width - std::min(width, left)));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    output.line({i == 0 ? label : std::string(left, ' '), colour}, {lines[i]});
  }
}

}  // namespace limits
