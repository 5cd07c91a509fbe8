// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/origin.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace policyd {
namespace {

// Postfix quotes other names, as in "max m"@example.org, and finds no `!` and `%` in quotes.
bool is_unquoted(std::string_view name) {
  constexpr std::string_view kSpecial = "()<>,;:\\\"[]";
  return !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == std::string_view::npos &&
         std::none_of(name.begin(), name.end(), [&](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte <= ' ' || byte == 0x7F || kSpecial.find(c) != std::string_view::npos;
         });
}

}  // namespace

bool lacks_domain(std::string_view address) {
  return !address.empty() && address.find('@') == std::string_view::npos;
}

std::string with_domain(std::string_view address, std::string_view myorigin) {
  if (is_unquoted(address)) {
    const auto bang = address.find('!');
    const bool swapped = bang != std::string_view::npos;
    const auto percent = swapped ? std::string_view::npos : address.rfind('%');
    const std::string_view before = address.substr(0, swapped ? bang : percent);
    const std::string_view after = address.substr(std::min(before.size() + 1, address.size()));
    // Postfix leaves nothing that could be delivered of one without a user or a site.
    if (!before.empty() && !after.empty()) {
      return swapped ? fmt::format("{}@{}", after, before) : fmt::format("{}@{}", before, after);
    }
  }
  return fmt::format("{}@{}", address, myorigin);
}

}  // namespace policyd
