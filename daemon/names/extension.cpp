// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/extension.hpp"

#include <algorithm>
#include <array>

namespace policyd {
namespace {

// "srs0=", "srs1+", "srs0-".
bool is_srs(std::string_view local_part) {
  constexpr std::size_t kPrefix = 4;
  constexpr std::string_view kSeparators = "=+-";
  return (local_part.starts_with("srs0") || local_part.starts_with("srs1")) &&
         local_part.size() > kPrefix &&
         kSeparators.find(local_part[kPrefix]) != std::string_view::npos;
}

}  // namespace

// Postfix's split_addr().
std::string_view without_extension(std::string_view local_part, std::string_view delimiters) {
  constexpr std::array<std::string_view, 3> kWhole = {"postmaster", "mailer-daemon",
                                                      "double-bounce"};
  const auto end = local_part.find_first_of(delimiters);
  if (end == std::string_view::npos || end == 0 || is_srs(local_part)) return local_part;
  const bool whole = std::find(kWhole.begin(), kWhole.end(), local_part) != kWhole.end();
  constexpr std::string_view kRequest = "-request";
  const bool of_a_list = delimiters.find('-') != std::string_view::npos &&
                         (local_part.starts_with("owner-") ||
                          (local_part.ends_with(kRequest) && local_part.size() > kRequest.size()));
  return whole || of_a_list ? local_part : local_part.substr(0, end);
}

}  // namespace policyd
