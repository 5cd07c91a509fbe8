// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: letters that look like others. The vendor's own article names its policy with a
// Cyrillic С, and whoever looks for the Latin one finds nothing.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "plugin/doctor/checks.hpp"
#include "plugin/terminal/text.hpp"

namespace limits {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t at = 0;
  std::size_t length = 1;
};

// Of valid UTF-8.
std::vector<CodePoint> code_points(std::string_view text) {
  std::vector<CodePoint> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    constexpr std::array<unsigned, 5> kFirstBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
    char32_t value = first & kFirstBits.at(length);
    for (std::size_t k = 1; k < length && i + k < text.size(); ++k) {
      value = (value << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    }
    out.push_back({value, i, length});
    i += length;
  }
  return out;
}

struct Range {
  char32_t from, to;
  const char* what;
};
constexpr std::array kForeign = {
    Range{0x0370, 0x03FF, "Greek"},      Range{0x0400, 0x052F, "Cyrillic"},
    Range{0x0530, 0x058F, "Armenian"},   Range{0x13A0, 0x13FF, "Cherokee"},
    Range{0xFF01, 0xFF5E, "full-width"}, Range{0x00A0, 0x00A0, "not a plain space"},
    Range{0x00AD, 0x00AD, "invisible"},  Range{0x2000, 0x200A, "not a plain space"},
    Range{0x200B, 0x200F, "invisible"},  Range{0x202A, 0x202E, "invisible"},
    Range{0x2060, 0x2064, "invisible"},  Range{0xFEFF, 0xFEFF, "invisible"},
};

// Latin letters that Cyrillic and Greek ones look like.
struct Twin {
  char32_t foreign;
  char latin;
};
constexpr std::array kTwins = {
    Twin{0x0410, 'A'}, Twin{0x0412, 'B'}, Twin{0x0421, 'C'}, Twin{0x0415, 'E'}, Twin{0x041D, 'H'},
    Twin{0x0406, 'I'}, Twin{0x0408, 'J'}, Twin{0x041A, 'K'}, Twin{0x041C, 'M'}, Twin{0x041E, 'O'},
    Twin{0x0420, 'P'}, Twin{0x0405, 'S'}, Twin{0x0422, 'T'}, Twin{0x0425, 'X'}, Twin{0x0423, 'Y'},
    Twin{0x0430, 'a'}, Twin{0x0441, 'c'}, Twin{0x0435, 'e'}, Twin{0x0456, 'i'}, Twin{0x0458, 'j'},
    Twin{0x043E, 'o'}, Twin{0x0440, 'p'}, Twin{0x0455, 's'}, Twin{0x0445, 'x'}, Twin{0x0443, 'y'},
    Twin{0x0391, 'A'}, Twin{0x0392, 'B'}, Twin{0x0395, 'E'}, Twin{0x0397, 'H'}, Twin{0x0399, 'I'},
    Twin{0x039A, 'K'}, Twin{0x039C, 'M'}, Twin{0x039D, 'N'}, Twin{0x039F, 'O'}, Twin{0x03A1, 'P'},
    Twin{0x03A4, 'T'}, Twin{0x03A7, 'X'}, Twin{0x03BF, 'o'}, Twin{0x00A0, ' '}};

const Range* foreign(char32_t value) {
  for (const Range& range : kForeign) {
    if (value >= range.from && value <= range.to) return &range;
  }
  return nullptr;
}

struct LookAlike {
  std::string what;   // "its letter 1 is Cyrillic (U+0421)"
  std::string plain;  // the text in Latin letters; empty where that is not known
};

// A name that is all of one foreign alphabet is a name; one that mixes it with Latin is a trap.
std::optional<LookAlike> look_alike(std::string_view text) {
  if (!is_valid_utf8(text)) return std::nullopt;
  bool latin = false;
  bool known = true;
  std::optional<LookAlike> found;
  std::string plain;
  std::size_t place = 0;
  for (const CodePoint& point : code_points(text)) {
    ++place;
    latin = latin || (point.value < 0x80 && std::isalpha(static_cast<int>(point.value)) != 0);
    const Range* range = foreign(point.value);
    if (range == nullptr) {
      plain += text.substr(point.at, point.length);
      continue;
    }
    if (!found) {
      found = LookAlike{fmt::format("its character {} is {} (U+{:04X})", place, range->what,
                                    static_cast<std::uint32_t>(point.value)),
                        {}};
    }
    const auto* twin = std::find_if(kTwins.begin(), kTwins.end(),
                                    [&](const Twin& each) { return each.foreign == point.value; });
    if (twin != kTwins.end()) {
      plain += twin->latin;
    } else if (std::string_view{range->what} != "invisible") {
      known = false;
    }
  }
  if (!found || !latin) return std::nullopt;
  if (known) found->plain = plain;
  return found;
}

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string{"''"} : std::string{c};
  return out + "'";
}

}  // namespace

void check_names(const DoctorQuestion& question, const Tables& tables, Findings& findings) {
  struct Place {
    const char* table;
    const char* column;
  };
  constexpr std::array kPlaces = {Place{"policies", "Name"},
                                  Place{"policy_groups", "Name"},
                                  Place{"quotas", "Name"},
                                  Place{"policy_members", "Source"},
                                  Place{"policy_members", "Destination"},
                                  Place{"policy_group_members", "Member"}};
  for (const Place& place : kPlaces) {
    each_row(tables, fmt::format("SELECT ID, {} FROM {{p}}{}", place.column, place.table),
             [&](const policyd::sql::Statement& row) {
               const auto found = look_alike(row.text(1));
               if (!found) return;
               const std::string mend =
                   found->plain.empty()
                       ? fmt::format("type it anew: UPDATE {} SET {} = '...' WHERE ID = {}",
                                     place.table, place.column, row.integer(0))
                       : sqlite_command(question.daemon.config.database,
                                        fmt::format("UPDATE {} SET {} = {} WHERE ID = {}",
                                                    tables.prefix + place.table, place.column,
                                                    literal(found->plain), row.integer(0)));
               findings.wrong(
                   "rules.names",
                   fmt::format("{} {}: {} '{}' looks Latin but {}", place.table, row.integer(0),
                               place.column, shown(row.text(1)), found->what),
                   "whoever looks for it as it reads, or types it, means another one", mend);
             });
  }
  findings.well_unless_wrong("rules.names", "names are written in the letters they seem to be");
}

}  // namespace limits
