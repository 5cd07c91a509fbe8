// SPDX-License-Identifier: AGPL-3.0-only
// `doctor`: look-alike letters. The vendor's own article names its policy with a Cyrillic С, so a
// search for the Latin name finds nothing.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "daemon/base/printable.hpp"
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

// Latin letters with Cyrillic and Greek look-alikes.
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
  std::string what;   // "its character 1 is Cyrillic (U+0421)"
  std::string plain;  // the text in Latin letters; empty if unknown
};

// A name in one foreign alphabet is a name; a mixture with Latin letters is a trap.
std::optional<LookAlike> look_alike(std::string_view text) {
  if (!policyd::is_valid_utf8(text)) return std::nullopt;
  bool latin = false;
  bool known = true;
  std::optional<LookAlike> found;
  std::string plain;
  std::size_t position = 0;
  for (const CodePoint& point : code_points(text)) {
    ++position;
    latin = latin || (point.value < 0x80 && std::isalpha(static_cast<int>(point.value)) != 0);
    const Range* range = foreign(point.value);
    if (range == nullptr) {
      plain += text.substr(point.at, point.length);
      continue;
    }
    if (!found) {
      found = LookAlike{fmt::format("its character {} is {} (U+{:04X})", position, range->what,
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
  struct NameColumn {
    const char* table;
    const char* column;
  };
  constexpr std::array kColumns = {NameColumn{"policies", "Name"},
                                   NameColumn{"policy_groups", "Name"},
                                   NameColumn{"quotas", "Name"},
                                   NameColumn{"policy_members", "Source"},
                                   NameColumn{"policy_members", "Destination"},
                                   NameColumn{"policy_group_members", "Member"}};
  for (const NameColumn& each : kColumns) {
    tables.each(
        fmt::format("SELECT ID, {} FROM {{p}}{}", each.column, each.table), {},
        [&](const policyd::sql::Statement& row) {
          const auto found = look_alike(row.text(1));
          if (!found) return;
          const std::string fix =
              found->plain.empty()
                  ? fmt::format("retype it: UPDATE {} SET {} = '...' WHERE ID = {}", each.table,
                                each.column, row.integer(0))
                  : sqlite_command(question, fmt::format("UPDATE {} SET {} = {} WHERE ID = {}",
                                                         tables.prefix + each.table, each.column,
                                                         literal(found->plain), row.integer(0)));
          findings.wrong("rules.names",
                         fmt::format("{} {}: {} '{}' looks Latin but {}", each.table,
                                     row.integer(0), each.column, shown(row.text(1)), found->what),
                         "searching for the name as it reads, or typing it, gives another name",
                         fix);
        });
  }
  findings.well_unless_wrong("rules.names", "no name contains look-alike letters");
}

}  // namespace limits
