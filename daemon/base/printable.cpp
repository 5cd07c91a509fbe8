// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "daemon/base/ascii_run.hpp"

namespace policyd {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kEscapedBytes = 4;  // \xNN

std::uint8_t byte_at(std::string_view text, std::size_t i) {
  return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
}

// The lead bytes of UTF-8 (RFC 3629), and which second byte each takes: what is left out is
// overlong, a surrogate, beyond Unicode or, of C2, a control character.
struct Sequence {
  std::uint8_t lead_first, lead_last;
  std::uint8_t second_first, second_last;
  std::size_t length;
};
constexpr std::array kSequences = {
    Sequence{0xC2, 0xC2, 0xA0, 0xBF, 2}, Sequence{0xC3, 0xDF, 0x80, 0xBF, 2},
    Sequence{0xE0, 0xE0, 0xA0, 0xBF, 3}, Sequence{0xE1, 0xEC, 0x80, 0xBF, 3},
    Sequence{0xED, 0xED, 0x80, 0x9F, 3}, Sequence{0xEE, 0xEF, 0x80, 0xBF, 3},
    Sequence{0xF0, 0xF0, 0x90, 0xBF, 4}, Sequence{0xF1, 0xF3, 0x80, 0xBF, 4},
    Sequence{0xF4, 0xF4, 0x80, 0x8F, 4},
};

bool begins_with(std::string_view text, const Sequence& sequence) {
  const std::uint8_t lead = byte_at(text, 0);
  const std::uint8_t second = byte_at(text, 1);
  if (lead < sequence.lead_first || lead > sequence.lead_last) return false;
  if (second < sequence.second_first || second > sequence.second_last) return false;
  for (std::size_t i = 2; i < sequence.length; ++i) {
    if ((byte_at(text, i) & 0xC0u) != 0x80u) return false;
  }
  return true;
}

bool is_plain(char c) { return c >= 0x20 && c < 0x7F; }

// How many bytes the printable character in front has; 0 when there is none.
std::size_t printable_length(std::string_view text) {
  if (is_plain(text.front())) return 1;
  const auto* found =
      std::find_if(kSequences.begin(), kSequences.end(),
                   [text](const Sequence& sequence) { return begins_with(text, sequence); });
  return found == kSequences.end() ? 0 : found->length;
}

}  // namespace

void append_printable(std::string& out, std::string_view text, std::size_t most) {
  while (!text.empty()) {
    const std::string_view plain = run_from<' '>(text.substr(0, most));
    out += plain;
    most -= plain.size();
    text.remove_prefix(plain.size());
    if (text.empty()) return;

    const std::size_t printable = printable_length(text);
    const std::size_t needed = printable > 0 ? printable : kEscapedBytes;
    if (needed > most) return;
    most -= needed;
    if (printable > 0) {
      out += text.substr(0, printable);
      text.remove_prefix(printable);
    } else {
      const std::uint8_t byte = byte_at(text, 0);
      out += "\\x";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 0xF];
      text.remove_prefix(1);
    }
  }
}

}  // namespace policyd
