// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/terminal/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "plugin/terminal/output.hpp"

namespace limits {
namespace {

constexpr std::chrono::seconds kFirstShown{1};
constexpr std::chrono::milliseconds kShownEvery{100};
constexpr std::size_t kProgressWidth = 30;

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      next_(std::chrono::steady_clock::now() + kFirstShown) {}

Progress::~Progress() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void Progress::show(std::uint64_t done, std::uint64_t all) {
  if (!terminal_ || all == 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kShownEvery;
  shown_ = true;
  const double percent =
      std::min(100.0, static_cast<double>(done) * 100 / static_cast<double>(all));
  fmt::print(stderr, "\r{} {:3.0f} % {}", what_, percent, bar(percent, kProgressWidth));
  std::fflush(stderr);
}

}  // namespace limits
