// SPDX-License-Identifier: AGPL-3.0-only
#include "plugin/web/random_text.hpp"

#include <fmt/core.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

namespace limits {

std::string random_text(std::size_t bytes) {
  std::array<unsigned char, 256> random{};
  const std::size_t size = std::min(bytes, random.size());
  ssize_t got = 0;
  do {
    got = ::getrandom(random.data(), size, 0);
  } while (got < 0 && errno == EINTR);
  // getrandom(2): up to 256 bytes come whole.
  if (got != static_cast<ssize_t>(size)) throw std::runtime_error("the kernel has no random bytes");
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += fmt::format("{:02x}", random[i]);
  return out;
}

bool is_same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace limits
