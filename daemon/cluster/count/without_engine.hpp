// SPDX-License-Identifier: AGPL-3.0-only
// What holds on a host while the others cannot be asked: [cluster] without. Pure functions.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/counting/shared_counters.hpp"

namespace policyd {

// This host's part of a limit. `hosts`: how many share the limits, with this one.
inline std::uint64_t limit_without_engine(Without without, std::size_t hosts, std::uint64_t limit) {
  const std::uint64_t parts = without == Without::share ? std::max<std::uint64_t>(1, hosts) : 1;
  return std::max<std::uint64_t>(1, limit / parts);
}

inline Granted granted_without_engine(Without without, std::size_t hosts,
                                      std::vector<Wanted> wanted) {
  Granted granted;
  granted.defer = without == Without::defer;
  for (const Wanted& one : wanted) {
    granted.own_limits.push_back(limit_without_engine(without, hosts, one.limit));
  }
  granted.wanted = std::move(wanted);
  return granted;
}

// In words: "this host lets 1/3 of each limit pass".
inline std::string text_without_engine(Without without, std::size_t hosts) {
  switch (without) {
    case Without::share:
      if (hosts < 2) break;
      return fmt::format("this host lets 1/{} of each limit pass", hosts);
    case Without::local:
      break;
    case Without::defer:
      return "mail that would be counted is deferred";
  }
  return "this host counts alone";
}

// For the log.
inline std::string say_without_engine(Without without, std::size_t hosts) {
  return "until then " + text_without_engine(without, hosts);
}

}  // namespace policyd
