// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/decay.hpp"

#include <fmt/core.h>

#include <cmath>
#include <cstdlib>
#include <string>

namespace policyd {

double decayed(double counter, double last_update_s, double now_s, double period_s) {
  if (!std::isfinite(counter)) return 0;
  const double elapsed = now_s - last_update_s;
  if (elapsed <= 0) return counter;
  if (!(elapsed <= period_s)) return 0;  // NaN is long ago
  return (1 - elapsed / period_s) * counter;
}

double decay_stored(double counter, double current, double units) {
  if (!std::isfinite(counter)) return current + units;
  const std::string delta = fmt::format("{:.15g}", current + units - counter);
  return counter + std::strtod(delta.c_str(), nullptr);
}

std::optional<double> decay_free_at_s(double counter, double last_update_s, double period_s,
                                      double limit) {
  if (!(limit >= 0)) return std::nullopt;
  if (!std::isfinite(counter) || !decay_exceeded(counter, limit)) return last_update_s;
  return last_update_s + period_s * (1 - limit / counter);
}

}  // namespace policyd
