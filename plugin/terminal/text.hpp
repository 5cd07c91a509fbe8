// SPDX-License-Identifier: AGPL-3.0-only
// Small things with text that more than one part of the command needs. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limits {

// For messages: control characters and bytes that are not UTF-8 escaped, cut at 80 characters. What
// a user typed is never printed otherwise.
std::string shown(std::string_view text);
// The same without the cut; for text that comes from the database.
std::string escaped(std::string_view text);

// "a", "a and b", "a, b and c".
std::string join_with_and(std::span<const std::string> parts);

std::vector<std::string_view> split(std::string_view text, char separator);

bool is_valid_utf8(std::string_view text);
bool has_control_characters(std::string_view text);
// Columns on a terminal, each code point taken as one.
std::size_t width_of(std::string_view text);

// Without regard to the case of A..Z.
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_cased(std::string_view text);
std::string upper_cased(std::string_view text);

}  // namespace limits
