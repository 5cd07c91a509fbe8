// SPDX-License-Identifier: AGPL-3.0-only
// The INI dialect of cbpolicyd.conf (Perl's Config::IniFiles, as far as Carbonio uses it): text →
// sections with their keys, in the order of the file. Pure; what keys mean is config's matter.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

// Larger texts are refused: no configuration comes near it.
inline constexpr std::size_t kMaxIniBytes = 1024 * 1024;

struct IniEntry {
  std::string key;    // as written; compare without regard to case
  std::string value;  // trimmed; of a here-document its lines, joined by LF, as they stand
  std::size_t line = 0;
};

struct IniSection {
  std::string name;  // as written; compare without regard to case
  std::size_t line = 0;
  std::vector<IniEntry> entries;  // a key that is repeated is here as often
};

// A line is empty, a comment (`#` or `;` comes first in it; nowhere else do they begin one),
// `[section]`, `key = value`, or `key = <<EOT` with the lines up to one that says EOT. A section
// may come again and is then in the result again. Lines end in LF or CRLF; a byte order mark is
// skipped. `name` stands in errors: "NAME:12: ...".
Result<std::vector<IniSection>> parse_ini(std::string_view text, std::string_view name);

// ASCII; sections and keys are written in any case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

// Without white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

// A value for a message: in quotation marks, control characters escaped, not longer than 60 bytes.
[[nodiscard]] std::string in_quotes(std::string_view value);

}  // namespace policyd
