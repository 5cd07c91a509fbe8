// SPDX-License-Identifier: AGPL-3.0-only
// Scans text eight bytes at a time, with the usual arithmetic on the bytes of a word. Requests,
// answers and log lines are nearly always plain ASCII, and are scanned for each mail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace policyd {

template <typename Word>
Word load(const char* text) {
  Word word = 0;
  std::memcpy(&word, text, sizeof word);
  return word;
}

inline constexpr std::uint64_t kInEachByte = 0x0101010101010101U;
inline constexpr std::uint64_t kHighBits = kInEachByte * 0x80;

// The longest beginning of `text` with only characters from `lowest`, an ASCII character, to '~'.
template <char lowest>
std::string_view run_from(std::string_view text) {
  std::size_t end = 0;
  for (; end + sizeof(std::uint64_t) <= text.size(); end += sizeof(std::uint64_t)) {
    const auto word = load<std::uint64_t>(text.data() + end);
    const std::uint64_t below = word - kInEachByte * lowest;  // borrows where a byte is below
    const std::uint64_t erased = (word ^ kInEachByte * 0x7F) - kInEachByte;  // or at a byte 7F
    if (((word | below | erased) & kHighBits) != 0) break;
  }
  while (end < text.size() && text[end] >= lowest && text[end] < 0x7F) ++end;
  return text.substr(0, end);
}

}  // namespace policyd
