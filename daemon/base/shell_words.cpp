// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/shell_words.hpp"

#include <algorithm>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

// No shell gives these a meaning inside of a word.
bool is_plain(char c) {
  constexpr std::string_view kOthers = "+-_.:/@%=,";
  return is_letter(c) || is_digit(c) || kOthers.find(c) != std::string_view::npos;
}

}  // namespace

std::string shell_word(std::string_view word) {
  if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) return std::string{word};
  // Double quotes read better around single ones, unless they would not keep the rest literal.
  if (word.find('\'') != std::string_view::npos &&
      word.find_first_of("\"$`\\!") == std::string_view::npos) {
    return '"' + std::string{word} + '"';
  }
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string shell_words(std::span<const std::string> words) {
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    out += shell_word(word);
  }
  return out;
}

}  // namespace policyd
