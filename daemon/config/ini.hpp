// SPDX-License-Identifier: AGPL-3.0-only
// The INI dialect of cbpolicyd.conf (Perl's Config::IniFiles, as far as Carbonio uses it): text →
// sections with their keys, in the order of the file. Pure; config interprets the keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/result.hpp"

namespace policyd {

// Larger texts are rejected: no configuration file comes near it.
inline constexpr std::size_t kMaxIniBytes = 1024 * 1024;

struct IniEntry {
  std::string key;    // as written; compare ignoring case
  std::string value;  // trimmed; the lines of a here-document unchanged, joined by LF
  std::size_t line = 0;
};

struct IniSection {
  std::string name;  // as written; compare ignoring case
  std::size_t line = 0;
  std::vector<IniEntry> entries;  // one for each occurrence of a key
};

// A line is empty, a comment (it begins with `#` or `;`; comments do not follow a value),
// `[section]`, `key = value`, or `key = <<EOT`, whose value is the lines up to the line EOT. A
// repeated section is repeated in the result. Lines end in LF or CRLF; a byte order mark is
// skipped. `name` is used in errors: "NAME:12: ...".
Result<std::vector<IniSection>> parse_ini(std::string_view text, std::string_view name);

// ASCII only. Sections and keys may be written in any case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

// Without white space at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text);

}  // namespace policyd
