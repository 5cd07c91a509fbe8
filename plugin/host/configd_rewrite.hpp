// SPDX-License-Identifier: AGPL-3.0-only
// Having configd rewrite what it generates, and waiting until that is to be seen.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace limits {

struct Configd {
  std::uint16_t port = 0;
  std::chrono::seconds within{60};  // for its answer, and then for what it writes
};

struct Rewritten {
  bool so = false;            // what was waited for
  bool nobody_there = false;  // configd does not run
  std::string trouble;        // it does, but did not do it: a sentence without a full stop
};

// `is_so` is looked at after the answer, and again and again until it says yes or the time is over;
// where configd is not there, once.
Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& is_so);

}  // namespace limits
