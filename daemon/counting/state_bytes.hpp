// SPDX-License-Identifier: AGPL-3.0-only
// The bytes of quotas_tracking.State: numbers are appended to a string, and taken from the front of
// one. Other programs may write the database too, so everything is bounded.
#pragma once

#include <array>
#include <bit>
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

inline void put_double(std::string& out, double value) {
  auto bits = std::bit_cast<std::uint64_t>(value);
  std::array<char, kDoubleBytes> bytes{};
  for (char& byte : bytes) {
    byte = static_cast<char>(bits & 0xFF);
    bits >>= 8;
  }
  out.append(bytes.data(), bytes.size());
}

inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

// Eight bytes, in two's complement.
inline void put_integer(std::string& out, std::int64_t value) {
  put_double(out, std::bit_cast<double>(value));
}

inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

inline void put_millis(std::string& out, Millis span) {
  put_varint(out, static_cast<std::uint64_t>(span.count()));
}

// Takes values from the front of a blob; nullopt if there is no valid one.
class StateReader {
 public:
  explicit StateReader(std::string_view blob) : left_(blob) {}
  [[nodiscard]] bool at_end() const { return left_.empty(); }
  [[nodiscard]] std::string_view rest() const { return left_; }

  std::optional<std::uint8_t> byte() {
    if (left_.empty()) return std::nullopt;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }

  std::optional<double> number() {
    if (left_.size() < kDoubleBytes) return std::nullopt;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < kDoubleBytes; ++i) bits |= std::uint64_t{*byte()} << (8 * i);
    return std::bit_cast<double>(bits);
  }

  // At most `max`, which is below 2^62; a varint of more than 63 bits is invalid.
  std::optional<std::uint64_t> varint(std::uint64_t max) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const auto next = byte();
      if (!next) return std::nullopt;
      value |= std::uint64_t{*next & 0x7Fu} << shift;
      if ((*next & 0x80u) == 0) return value <= max ? std::optional(value) : std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<std::int64_t> integer() {
    const auto bits = number();
    if (!bits) return std::nullopt;
    return std::bit_cast<std::int64_t>(*bits);
  }

  // Of the blob's bytes.
  std::optional<std::string_view> text(std::size_t max) {
    const auto size = varint(max);
    if (!size || *size > left_.size()) return std::nullopt;
    const std::string_view text = left_.substr(0, *size);
    left_.remove_prefix(*size);
    return text;
  }

  std::optional<Millis> millis(Millis max) {
    const auto value = varint(static_cast<std::uint64_t>(max.count()));
    if (!value) return std::nullopt;
    return Millis{static_cast<std::int64_t>(*value)};
  }

 private:
  std::string_view left_;
};

}  // namespace policyd
