// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/doctor/evident/look_alike.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "daemon/base/printable.hpp"

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
  bool letters = true;
};
constexpr std::array kForeign = {
    Range{0x0370, 0x03FF, "Greek"},
    Range{0x0400, 0x052F, "Cyrillic"},
    Range{0x0530, 0x058F, "Armenian"},
    Range{0x13A0, 0x13FF, "Cherokee"},
    Range{0xFF01, 0xFF5E, "full-width"},
    Range{0x00A0, 0x00A0, "not a plain space", false},
    Range{0x00AD, 0x00AD, "invisible", false},
    Range{0x2000, 0x200A, "not a plain space", false},
    Range{0x200B, 0x200F, "invisible", false},
    Range{0x202A, 0x202E, "invisible", false},
    Range{0x2060, 0x2064, "invisible", false},
    Range{0xFEFF, 0xFEFF, "invisible", false},
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

bool is_latin(const CodePoint& point) {
  return point.value < 0x80 && std::isalpha(static_cast<int>(point.value)) != 0;
}

// Whether the point belongs to a word: a letter of any alphabet.
bool is_in_word(const CodePoint& point) {
  if (point.value < 0x80) return is_latin(point);
  const Range* range = foreign(point.value);
  return range == nullptr || range->letters;
}

// For each point whether its word has Latin letters.
std::vector<bool> in_latin_word(const std::vector<CodePoint>& points) {
  std::vector<bool> out(points.size(), false);
  for (std::size_t begin = 0; begin < points.size();) {
    std::size_t end = begin;
    bool latin = false;
    for (; end < points.size() && is_in_word(points[end]); ++end) {
      latin = latin || is_latin(points[end]);
    }
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(begin),
              out.begin() + static_cast<std::ptrdiff_t>(end), latin);
    begin = end + 1;
  }
  return out;
}

}  // namespace

std::optional<LookAlike> look_alike(std::string_view text) {
  if (!policyd::is_valid_utf8(text)) return std::nullopt;
  const auto points = code_points(text);
  const std::vector<bool> latin_word = in_latin_word(points);
  const bool any_latin = std::any_of(points.begin(), points.end(), is_latin);
  bool known = true;
  std::optional<LookAlike> found;
  std::string plain;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const CodePoint& point = points[i];
    const Range* range = foreign(point.value);
    const bool trap = range != nullptr && (range->letters ? latin_word[i] : any_latin);
    if (!trap) {
      plain += text.substr(point.at, point.length);
      continue;
    }
    if (!found) {
      found = LookAlike{fmt::format("its character {} is {} (U+{:04X})", i + 1, range->what,
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
  if (found && known) found->plain = plain;
  return found;
}

}  // namespace limits
