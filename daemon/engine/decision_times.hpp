// SPDX-License-Identifier: AGPL-3.0-only
// How long requests waited for their answers, as a histogram. A value.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace policyd {

struct DecisionTimes {
  using Micros = std::chrono::microseconds;
  // The longest time of each bucket; there is one more for those that took longer.
  static constexpr std::array<Micros, 15> kBounds = {
      Micros{100},     Micros{250},     Micros{500},       Micros{1'000},     Micros{2'500},
      Micros{5'000},   Micros{10'000},  Micros{25'000},    Micros{50'000},    Micros{100'000},
      Micros{250'000}, Micros{500'000}, Micros{1'000'000}, Micros{2'500'000}, Micros{5'000'000}};

  std::array<std::uint64_t, kBounds.size() + 1> requests{};  // of each bucket
  std::chrono::nanoseconds sum{0};

  void add(std::chrono::nanoseconds took, std::uint64_t how_many) {
    const auto* const bound = std::lower_bound(kBounds.begin(), kBounds.end(), took);
    requests[static_cast<std::size_t>(bound - kBounds.begin())] += how_many;
    sum += took * static_cast<std::int64_t>(how_many);
  }

  bool operator==(const DecisionTimes&) const = default;
};

}  // namespace policyd
