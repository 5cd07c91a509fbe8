// SPDX-License-Identifier: AGPL-3.0-only
// What the text of a value is made of, whatever key it belongs to: words, numbers, items of a list.
// Used by the table of keys and by the readers of those with a syntax of their own. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace policyd::config_key {

// In any case.
[[nodiscard]] bool is_one_of(std::span<const std::string_view> words, std::string_view word);

// Only digits, and within the bounds.
[[nodiscard]] std::optional<std::uint64_t> number_within(std::string_view text, std::uint64_t min,
                                                         std::uint64_t max);

// An IpNetwork; but that takes a prefix length beyond the address's bits as all of them, as the
// Perl daemon does for rows, and in the configuration it is a mistake.
[[nodiscard]] bool is_network(std::string_view text);

// The items of a list. In here-documents, too, lines that begin with # or ; are comments.
[[nodiscard]] std::vector<std::string_view> items_of(std::string_view list);

}  // namespace policyd::config_key
