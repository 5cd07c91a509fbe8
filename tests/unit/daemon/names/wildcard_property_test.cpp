// SPDX-License-Identifier: AGPL-3.0-only
// Patterns with `*`: random ones match what a plain algorithm matches, and hostile ones take at
// most linear time. Seeds are fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/base/ascii.hpp"
#include "daemon/names/wildcard.hpp"

namespace policyd {
namespace {

bool is_any(char) { return true; }

bool is_host_character(char c) {
  return std::string_view{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."}.find(
             c) != std::string_view::npos;
}

// Character by character, going back to the last star. Its time is pattern × text.
bool plain_glob(std::string_view pattern, std::string_view text, bool (*star_takes)(char)) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::size_t> star;  // after the last star of the pattern
  std::size_t star_end = 0;         // after the text it stands for
  while (t < text.size() || (p < pattern.size() && pattern[p] != '*')) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_end = t;
    } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star && star_end < text.size() && star_takes(text[star_end])) {
      p = *star;
      t = ++star_end;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool plain_host_match(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with('.')) return plain_glob(pattern, host, is_host_character);
  for (std::size_t begin = 0; begin <= host.size(); ++begin) {
    if (plain_glob(pattern, host.substr(begin), is_host_character)) return true;
  }
  return false;
}

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return engine_() % limit; }
  std::string text(std::string_view letters, std::size_t most) {
    std::string out(below(most + 1), ' ');
    for (char& c : out) c = letters[below(letters.size())];
    return out;
  }
  // A text that the pattern matches, or almost.
  std::string filled(std::string_view pattern, std::string_view letters) {
    std::string out;
    for (const char c : pattern) out += c == '*' ? text(letters, 4) : std::string(1, c);
    if (below(3) == 0 && !out.empty()) out[below(out.size())] = letters[below(letters.size())];
    return out;
  }

 private:
  std::mt19937 engine_;
};

TEST(PatternProperty, RandomPatternsMatchWhatAPlainAlgorithmMatches) {
  Random random{1};
  int matched = 0;
  for (int round = 0; round < 200'000; ++round) {
    const std::string pattern = random.text("ab ***", 10);
    const std::string text =
        round % 2 == 0 ? random.text("aab ", 14) : random.filled(pattern, "ab ");
    const bool expected = plain_glob(pattern, text, is_any);
    ASSERT_EQ(wildcard_match(pattern, text), expected) << '"' << pattern << "\" \"" << text << '"';
    matched += expected ? 1 : 0;
  }
  EXPECT_GT(matched, 20'000);
  EXPECT_LT(matched, 180'000);
}

TEST(PatternProperty, RandomHostPatternsMatchWhatAPlainAlgorithmMatches) {
  Random random{2};
  int matched = 0;
  for (int round = 0; round < 200'000; ++round) {
    // As parse_item() accepts them: host characters only.
    const std::string pattern = (random.below(2) == 0 ? "." : "") + random.text("ab.**", 8);
    const std::string host = round % 2 == 0 ? random.text("ab.@ ", 14)
                                            : random.text("a@", 2) + random.filled(pattern, "ab.@");
    const bool expected = plain_host_match(pattern, host);
    ASSERT_EQ(host_match(pattern, host), expected) << '"' << pattern << "\" \"" << host << '"';
    matched += expected ? 1 : 0;
  }
  EXPECT_GT(matched, 20'000);
  EXPECT_LT(matched, 180'000);
}

std::string repeated(std::string_view text, std::size_t length) {
  std::string out;
  while (out.size() < length) out += text;
  return out.substr(0, length);
}

struct Hostile {
  const char* name;
  // Of `n` characters at most, both of them.
  std::string (*pattern)(std::size_t n);
  std::string (*text)(std::size_t n);
};

std::string all_a(std::size_t n) { return std::string(n, 'a'); }

const std::vector<Hostile> kHostile = {
    {"LongPieceThatDiffersAtItsEnd", [](std::size_t n) { return "*" + all_a(n / 2) + "b*"; },
     all_a},
    {"LongPieceThatDiffersAtItsBeginning", [](std::size_t n) { return "*b" + all_a(n / 2) + "*"; },
     all_a},
    {"LongPieceThatDiffersInTheMiddle",
     [](std::size_t n) { return "*" + all_a(n / 4) + "b" + all_a(n / 4) + "*"; }, all_a},
    {"ShortPieceThatDiffersInTheMiddle",
     [](std::size_t) { return "*" + all_a(125) + "b" + all_a(125) + "*"; }, all_a},
    {"PieceThatRepeatsItself", [](std::size_t n) { return "*" + repeated("ab", n / 2) + "c*"; },
     [](std::size_t n) { return repeated("ab", n); }},
    {"ManyPieces", [](std::size_t n) { return repeated("*a", n / 2) + "*b*"; }, all_a},
    {"ManyPiecesThatAreFound", [](std::size_t n) { return repeated("*a", n / 2) + "*"; }, all_a},
    {"ManyStars", [](std::size_t n) { return std::string(n / 2, '*') + "b*"; }, all_a},
    {"BehindADotInFront", [](std::size_t n) { return ".*" + all_a(n / 2) + "b*"; },
     [](std::size_t n) { return "." + all_a(n); }},
};

using Match = bool (*)(std::string_view, std::string_view);

// The shortest of several, so that other load on the machine does not matter.
std::chrono::nanoseconds time_of(Match match, const Hostile& hostile, std::size_t n) {
  const std::string pattern = hostile.pattern(n);
  const std::string text = hostile.text(n);
  auto shortest = std::chrono::nanoseconds::max();
  int found = 0;
  for (int i = 0; i < 7; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    found += match(pattern, text) ? 1 : 0;
    shortest =
        std::min<std::chrono::nanoseconds>(shortest, std::chrono::steady_clock::now() - begin);
  }
  EXPECT_TRUE(found == 0 || found == 7);
  return shortest;
}

TEST(PatternProperty, HostilePatternsTakeLinearTime) {
  constexpr std::size_t kLength = 4'000;
  constexpr std::size_t kLonger = 8;  // 64 times the time, were it pattern × text
  for (const Hostile& hostile : kHostile) {
    for (const Match match : {&wildcard_match, &host_match}) {
      const auto once = time_of(match, hostile, kLength);
      const auto longer = time_of(match, hostile, kLonger * kLength);
      EXPECT_LT(longer, 3 * kLonger * (once + std::chrono::microseconds{1})) << hostile.name;
    }
  }
}

}  // namespace
}  // namespace policyd
