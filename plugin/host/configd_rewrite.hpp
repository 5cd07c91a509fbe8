// SPDX-License-Identifier: AGPL-3.0-only
// Makes configd rewrite the files that it generates, and waits until the change shows.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace limits {

struct Configd {
  std::uint16_t port = 0;
  std::chrono::seconds within{60};  // for its answer, and then for the files
};

struct Rewritten {
  bool took_effect = false;  // the awaited condition holds
  bool not_running = false;  // configd does not run here
  std::string trouble;       // it runs, but did not do it: a sentence without a full stop
};

// Tests `took_effect` after the answer, repeatedly until it returns true or the time is over; only
// once if configd does not run.
Rewritten rewrite(const Configd& configd, std::string_view sections,
                  const std::function<bool()>& took_effect);

}  // namespace limits
