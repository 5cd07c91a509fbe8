// SPDX-License-Identifier: AGPL-3.0-only
// Small text functions that several parts of the command need. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limits {

// For messages: escapes control characters and invalid UTF-8, and cuts at 80 bytes. Always
// used for what the user typed.
std::string shown(std::string_view text);
// The same without the cut, for text from the database.
std::string escaped(std::string_view text);

// "a", "a and b", "a, b and c".
std::string join_with_and(std::span<const std::string> parts);

// "1 limit", "3 limits".
std::string counted(std::size_t number, std::string_view noun);
// `one` of one, else `several`: "is", "are".
std::string_view of_number(std::size_t number, std::string_view one, std::string_view several);
// "limit 3", "limits 3 and 4"; of more than ten the first, "and 5 more".
std::string with_ids(std::string_view noun, std::span<const std::int64_t> ids);

std::vector<std::string_view> split(std::string_view text, char separator);

// Columns on a terminal: an ideograph takes two, a combining accent none (UAX #11).
std::size_t width_of(std::string_view text);
struct Character {
  std::string_view bytes;
  std::size_t columns = 0;
};
// The first one of `text`, which must not be empty; cuts it off.
Character take_character(std::string_view& text);

// Ignores the case of A to Z.
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_cased(std::string_view text);
std::string upper_cased(std::string_view text);

}  // namespace limits
