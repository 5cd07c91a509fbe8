// SPDX-License-Identifier: AGPL-3.0-only
// What every fuzz target needs: an input in pieces, and a check that also ends a release build. A
// target is one function, LLVMFuzzerTestOneInput, which libFuzzer calls with anything at all, and
// replay.cpp with the corpus; it asserts what holds for every input. Pure but for that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

// The tools' own name and signature. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

// Both libFuzzer and ctest take an abort for a finding.
inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the text up to `mark`, or all of it, off the front of `rest`.
inline std::string_view take_until(std::string_view& rest, std::string_view mark) {
  const std::size_t end = rest.find(mark);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + mark.size());
  return taken;
}

inline std::string_view take_line(std::string_view& rest) { return take_until(rest, "\n"); }

}  // namespace fuzz
