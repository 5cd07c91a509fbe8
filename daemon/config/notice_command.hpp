// SPDX-License-Identifier: AGPL-3.0-only
// The program that gets notices, as [notify] command and 'notify --command' name it. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace policyd {

// The absolute path and the words for it, which may be quoted as in a shell. Nullopt if it is
// anything else, longer than 1024 bytes, or a closing quotation mark is missing.
[[nodiscard]] std::optional<std::vector<std::string>> notice_command_words(std::string_view text);

}  // namespace policyd
