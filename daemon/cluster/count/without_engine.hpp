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

// `hosts`: how many share the limits, with this one.
inline Granted granted_without_engine(Without without, std::size_t hosts,
                                      std::vector<Wanted> wanted) {
  Granted granted;
  granted.defer = without == Without::defer;
  const std::uint64_t parts = without == Without::share ? std::max<std::uint64_t>(1, hosts) : 1;
  for (const Wanted& one : wanted) {
    granted.own_limits.push_back(std::max<std::uint64_t>(1, one.limit / parts));
  }
  granted.wanted = std::move(wanted);
  return granted;
}

// For the log.
inline std::string say_without_engine(Without without, std::size_t hosts) {
  switch (without) {
    case Without::share:
      if (hosts < 2) break;
      return fmt::format("until then this host lets 1/{} of each limit pass", hosts);
    case Without::local:
      break;
    case Without::defer:
      return "until then mail that would be counted is deferred";
  }
  return "until then this host counts alone";
}

}  // namespace policyd
