// SPDX-License-Identifier: AGPL-3.0-only
// Text from the network, the database or a user, made safe for one line of a log or a terminal.
//
// Escaped as \xNN, byte by byte: control characters (C0, DEL, C1; ESC and line ends among them),
// the line and paragraph separators of Unicode, controls that change the direction of writing
// (such as U+202E), and bytes that are not UTF-8 (RFC 3629). Pure functions; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace policyd {

// The length in bytes of the UTF-8 sequence that `text` begins with; 0 if it is not valid.
[[nodiscard]] std::size_t utf8_length(std::string_view text);
[[nodiscard]] bool is_valid_utf8(std::string_view text);

// Whether nothing in `text` has to be escaped.
[[nodiscard]] bool is_printable(std::string_view text);

// Appends `text` escaped, but at most `max_bytes` of output; no character is cut in two. False if
// that was not enough for all of it.
bool append_printable(std::string& out, std::string_view text, std::size_t max_bytes);

// `text` escaped; "..." stands for what exceeds `max_bytes` of output.
[[nodiscard]] std::string printable(std::string_view text,
                                    std::size_t max_bytes = std::string_view::npos);

// The same between single quotes, for messages: 'example.com'. (Not named `quoted`: std::quoted
// would be found as well.)
[[nodiscard]] std::string in_quotes(std::string_view text, std::size_t max_bytes = 80);

}  // namespace policyd
