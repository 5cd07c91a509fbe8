// SPDX-License-Identifier: AGPL-3.0-only
// A section of carbonio-limits.conf, as text. Pure functions.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace limits {

using SectionKeys = std::map<std::string, std::string>;

// The text with these keys set in the section ("cluster"), and otherwise unchanged; a section is
// added if there is none.
std::string with_section_keys(std::string_view text, std::string_view section,
                              const SectionKeys& keys);

// The text without the keys of the section that are `unwanted`. Its comments stay; a section
// without anything goes, too.
std::string without_section_keys(std::string_view text, std::string_view section,
                                 const std::function<bool(std::string_view key)>& unwanted);

// Without any of its keys.
inline std::string without_section_keys(std::string_view text, std::string_view section) {
  return without_section_keys(text, section, [](std::string_view) { return true; });
}

}  // namespace limits
