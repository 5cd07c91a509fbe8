// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/cluster/count/counter_field.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace policyd {

namespace {

std::optional<std::uint64_t> whole(std::optional<double> number) {
  constexpr auto kMax = static_cast<double>(Window::kMaxUnits);
  if (!number || !(*number >= 0 && *number <= kMax) || std::floor(*number) != *number) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*number);
}

static_assert(Window::kLatest.time_since_epoch().count() == Window::kMaxUnits);

}  // namespace

void append_field_pairs(std::string& out, const Window& window) {
  out.reserve(out.size() + window.pairs().size() * kFieldPairBytes);
  for (const WindowPair& pair : window.pairs()) {
    put_double(out, static_cast<double>(pair.last.time_since_epoch().count()));
    put_double(out, static_cast<double>(pair.units));
  }
}

std::optional<Window> window_of_field(std::string_view field) {
  if (field.size() > kMaxFieldBytes || field.size() % kFieldPairBytes != kDoubleBytes) {
    return std::nullopt;
  }
  StateReader reader{field};
  const auto sum = whole(reader.number());
  std::vector<WindowPair> pairs;
  std::uint64_t units_of_all = 0;
  while (!reader.at_end()) {
    const auto last = whole(reader.number());
    const auto units = whole(reader.number());
    if (!last || !units) return std::nullopt;
    pairs.push_back({TimePoint{Millis{static_cast<std::int64_t>(*last)}}, *units});
    units_of_all += *units;
  }
  if (units_of_all != sum) return std::nullopt;
  // The script's clock may be a little behind the one of the pairs before.
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const WindowPair& a, const WindowPair& b) { return a.last < b.last; });
  return Window::of_pairs(pairs);
}

}  // namespace policyd
