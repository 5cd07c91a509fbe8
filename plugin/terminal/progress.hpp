// SPDX-License-Identifier: AGPL-3.0-only
// How far a command is, on standard error if that is a terminal, once it has taken a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace limits {

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // removes it
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done, std::uint64_t all);

 private:
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace limits
