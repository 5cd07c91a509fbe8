// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/wrap.hpp"

#include <algorithm>

#include "plugin/terminal/text.hpp"

namespace limits {

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines(1);
  if (width == 0) {
    lines.front() = text;
    return lines;
  }
  std::size_t column = 0;
  for (const std::string_view word : split(text, ' ')) {
    if (column > 0 && column + 1 + width_of(word) > width) {
      lines.emplace_back();
      column = 0;
    }
    if (column > 0) {
      lines.back() += ' ';
      ++column;
    }
    lines.back() += word;
    column += width_of(word);
  }
  return lines;
}

std::size_t room_beside(const Output& output, std::string_view label) {
  constexpr std::size_t kMinRoom = 30;
  const std::size_t width = output.style().width;
  return width == 0 ? 0 : std::max(kMinRoom, width - std::min(width, width_of(label)));
}

void print_wrapped(Output& output, const Cell& label, const Cell& text) {
  Cell left = label;
  for (const std::string& line : wrapped(text.text, room_beside(output, label.text))) {
    output.line(left, {line, text.colour});
    left.text.assign(width_of(label.text), ' ');
  }
}

}  // namespace limits
