// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/markup.hpp"

#include "plugin/terminal/text.hpp"

namespace limits {

std::string in_markup(std::string_view text) {
  const std::string plain = escaped(text);
  std::string out;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    switch (c) {
      case '\xef': {
        // XML has neither U+FFFE nor U+FFFF.
        const std::string_view here = std::string_view{plain}.substr(i);
        if (here.starts_with("\xef\xbf\xbe") || here.starts_with("\xef\xbf\xbf")) {
          out += "\xef\xbf\xbd";
          i += 2;
        } else {
          out += c;
        }
        break;
      }
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
