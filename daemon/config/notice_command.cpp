// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/config/notice_command.hpp"

#include "daemon/base/shell_words.hpp"

namespace policyd {

std::optional<std::vector<std::string>> notice_command_words(std::string_view text) {
  constexpr std::size_t kMaxCommand = 1024;
  if (text.size() > kMaxCommand) return std::nullopt;
  auto words = split_shell_words(text, HashMark::text);
  if (!words || words->empty() || !words->front().starts_with('/')) return std::nullopt;
  return words;
}

}  // namespace policyd
