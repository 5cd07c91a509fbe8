// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/wildcard.hpp"

#include <algorithm>
#include <cstring>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

bool is_host_character(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
}

// Finds the first occurrence of `piece`. string_view::find takes text × piece in the worst case;
// memmem is always linear, but has a table to set up first.
std::size_t find_in_linear_time(std::string_view text, std::string_view piece) {
  constexpr std::size_t kShort = 16;
  if (piece.size() <= kShort || piece.size() > text.size()) return text.find(piece);
  const void* found = ::memmem(text.data(), text.size(), piece.data(), piece.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

// Finds the literal pieces between the stars from left to right, each at its first occurrence. That
// is enough although a star cannot stand for every character: if a piece occurs again later, either
// the star before it could take the first occurrence, or the two overlap; then the piece repeats
// itself, so the star takes all of its characters. Linear, since no part of the text is searched
// twice. `leading_star`: as if the pattern began with one more star.
template <typename MayStandFor>
bool glob(std::string_view pattern, std::string_view text, MayStandFor star_takes,
          bool leading_star = false) {
  const auto last_star = pattern.rfind('*');
  if (last_star == std::string_view::npos && !leading_star) return pattern == text;
  const auto end = pattern.substr(last_star + 1);  // all of it if there is no star
  if (!text.ends_with(end)) return false;
  pattern.remove_suffix(end.size());
  text.remove_suffix(end.size());
  if (!leading_star) {
    const auto beginning = pattern.substr(0, pattern.find('*'));
    if (!text.starts_with(beginning)) return false;
    pattern.remove_prefix(beginning.size());
    text.remove_prefix(beginning.size());
  }
  const auto is_taken = [&](std::string_view part) {
    return std::all_of(part.begin(), part.end(), star_takes);
  };
  while (!pattern.empty()) {
    const auto piece = pattern.substr(0, pattern.find('*'));
    const auto at = find_in_linear_time(text, piece);
    if (at == std::string_view::npos || !is_taken(text.substr(0, at))) return false;
    text.remove_prefix(at + piece.size());
    // The rest of the pattern, if any, ends in a star.
    pattern.remove_prefix(piece.size() + 1);
  }
  return is_taken(text);
}

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text) {
  return glob(pattern, text, [](char) { return true; });
}

bool host_match(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with('.')) return glob(pattern, host, is_host_character);
  // The pattern matches host characters only, so a match begins after the last other character.
  const auto other = std::find_if_not(host.rbegin(), host.rend(), is_host_character);
  host.remove_prefix(static_cast<std::size_t>(host.rend() - other));
  return glob(pattern, host, is_host_character, true);
}

}  // namespace policyd
