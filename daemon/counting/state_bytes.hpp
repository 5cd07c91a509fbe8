// SPDX-License-Identifier: AGPL-3.0-only
// The bytes of quotas_tracking.State: numbers are appended to a string, and taken from the front of
// one. Other programs may write the database too, so everything is bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"

namespace policyd {

inline constexpr std::size_t kDoubleBytes = 8;  // IEEE 754, little-endian
// At most, for 64 bits: seven bits per byte, lowest first, the top bit set in all but the last.
inline constexpr std::size_t kVarintBytes = 10;
static_assert(kVarintBytes * 7 >= 64);

void put_double(std::string& out, double value);
void put_varint(std::string& out, std::uint64_t value);
void put_millis(std::string& out, Millis span);

// Takes values from the front of a blob; nullopt if there is no valid one.
class StateReader {
 public:
  explicit StateReader(std::string_view blob) : left_(blob) {}

  [[nodiscard]] bool at_end() const { return left_.empty(); }
  std::optional<std::uint8_t> byte();
  std::optional<double> number();
  // At most `max`, which is below 2^62; a varint of more than 63 bits is invalid.
  std::optional<std::uint64_t> varint(std::uint64_t max);
  std::optional<Millis> millis(Millis max);

 private:
  std::string_view left_;
};

}  // namespace policyd
