// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/shell_words.hpp"

#include <algorithm>
#include <utility>

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

std::optional<std::vector<std::string>> split_shell_words(std::string_view line, HashMark hash) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char mark = 0;  // the quotation mark that is open
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (mark != 0) {
      if (c == mark) {
        mark = 0;
      } else if (mark == '"' && c == '\\' && i + 1 < line.size()) {
        *word += line[++i];
      } else {
        *word += c;
      }
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (word) words.push_back(std::move(*word));
      word.reset();
    } else if (c == '#' && !word && hash == HashMark::comment) {
      return words;
    } else {
      if (!word) word.emplace();
      if (c == '\'' || c == '"') {
        mark = c;
      } else if (c == '\\' && i + 1 < line.size()) {
        *word += line[++i];
      } else {
        *word += c;
      }
    }
  }
  if (mark != 0) return std::nullopt;
  if (word) words.push_back(std::move(*word));
  return words;
}

}  // namespace policyd
