// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/did_you_mean.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxWord = 64;

// Optimal string alignment; both at most kMaxWord long.
std::size_t typing_errors(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kMaxWord + 1>, kMaxWord + 1> d;
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t other = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + other});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                           lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates) {
  if (word.size() > kMaxWord) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t fewest = std::min(word.size(), std::max<std::size_t>(2, word.size() / 3) + 1);
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kMaxWord) continue;
    const std::size_t errors = typing_errors(word, candidate);
    if (errors >= fewest) continue;
    fewest = errors;
    best = candidate;
  }
  return best;
}

}  // namespace policyd
