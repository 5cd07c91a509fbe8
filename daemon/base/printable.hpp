// SPDX-License-Identifier: AGPL-3.0-only
// Text from the network, made fit for one line of a log or a terminal. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace policyd {

// Appends `text`, at most `most` bytes of it as written. Control characters (line ends, DEL and
// those of Unicode, too) and bytes that are not UTF-8 become \xNN; a character is never cut apart.
void append_printable(std::string& out, std::string_view text, std::size_t most);

}  // namespace policyd
