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

// The lead bytes of UTF-8 (RFC 3629) and the second bytes that may follow each: all others are
// overlong forms, surrogates or beyond Unicode.
struct Sequence {
  std::uint8_t lead_first, lead_last;
  std::uint8_t second_first, second_last;
  std::size_t length;
};
constexpr std::array kSequences = {
    Sequence{0xC2, 0xDF, 0x80, 0xBF, 2}, Sequence{0xE0, 0xE0, 0xA0, 0xBF, 3},
    Sequence{0xE1, 0xEC, 0x80, 0xBF, 3}, Sequence{0xED, 0xED, 0x80, 0x9F, 3},
    Sequence{0xEE, 0xEF, 0x80, 0xBF, 3}, Sequence{0xF0, 0xF0, 0x90, 0xBF, 4},
    Sequence{0xF1, 0xF3, 0x80, 0xBF, 4}, Sequence{0xF4, 0xF4, 0x80, 0x8F, 4},
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

// Of a character of more than one byte: C1, U+061C, U+200E, U+200F, U+2028 to U+202E and U+2066 to
// U+2069.
bool is_control(std::string_view character) {
  const std::uint8_t second = byte_at(character, 1);
  if (character.size() == 2) {
    const std::uint8_t lead = byte_at(character, 0);
    return (lead == 0xC2 && second < 0xA0) || (lead == 0xD8 && second == 0x9C);
  }
  if (character.size() != 3 || byte_at(character, 0) != 0xE2) return false;
  const std::uint8_t third = byte_at(character, 2);
  if (second == 0x81) return third >= 0xA6 && third <= 0xA9;
  return second == 0x80 && (third == 0x8E || third == 0x8F || (third >= 0xA8 && third <= 0xAE));
}

// The bytes of the printable character at the beginning; 0 if that has to be escaped.
std::size_t printable_length(std::string_view text) {
  if (is_plain(text.front())) return 1;
  const std::size_t length = utf8_length(text);
  return length < 2 || is_control(text.substr(0, length)) ? 0 : length;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  if (byte_at(text, 0) < 0x80) return 1;
  const auto* found =
      std::find_if(kSequences.begin(), kSequences.end(),
                   [text](const Sequence& sequence) { return begins_with(text, sequence); });
  return found == kSequences.end() ? 0 : found->length;
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_printable(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = printable_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool append_printable(std::string& out, std::string_view text, std::size_t max_bytes) {
  while (!text.empty()) {
    const std::string_view plain = run_from<' '>(text.substr(0, max_bytes));
    out += plain;
    max_bytes -= plain.size();
    text.remove_prefix(plain.size());
    if (text.empty()) return true;

    const std::size_t length = printable_length(text);
    const std::size_t needed = length > 0 ? length : kEscapedBytes;
    if (needed > max_bytes) return false;
    max_bytes -= needed;
    if (length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
    } else {
      const std::uint8_t byte = byte_at(text, 0);
      out += "\\x";
      out += kHexDigits[byte >> 4];
      out += kHexDigits[byte & 0xF];
      text.remove_prefix(1);
    }
  }
  return true;
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out;
  if (!append_printable(out, text, max_bytes)) out += "...";
  return out;
}

std::string in_quotes(std::string_view text, std::size_t max_bytes) {
  // Step by step: `"'" + printable(...)` brings a false -Wrestrict from GCC 12 with -O3.
  std::string out{'\''};
  out += printable(text, max_bytes);
  out += '\'';
  return out;
}

}  // namespace policyd
