// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/markup.hpp"

#include "plugin/terminal/text.hpp"

namespace limits {

std::string in_markup(std::string_view text) {
  std::string out;
  for (const char c : escaped(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace limits
