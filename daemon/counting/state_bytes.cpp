// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/counting/state_bytes.hpp"

#include <bit>

namespace policyd {

void put_double(std::string& out, double value) {
  auto bits = std::bit_cast<std::uint64_t>(value);
  for (std::size_t i = 0; i < kDoubleBytes; ++i, bits >>= 8) out += static_cast<char>(bits & 0xFF);
}

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

void put_millis(std::string& out, Millis span) {
  put_varint(out, static_cast<std::uint64_t>(span.count()));
}

std::optional<std::uint8_t> StateReader::byte() {
  if (left_.empty()) return std::nullopt;
  const auto value = static_cast<std::uint8_t>(left_.front());
  left_.remove_prefix(1);
  return value;
}

std::optional<double> StateReader::number() {
  if (left_.size() < kDoubleBytes) return std::nullopt;
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < kDoubleBytes; ++i) bits |= std::uint64_t{*byte()} << (8 * i);
  return std::bit_cast<double>(bits);
}

std::optional<std::uint64_t> StateReader::varint(std::uint64_t max) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    const auto next = byte();
    if (!next) return std::nullopt;
    value |= std::uint64_t{*next & 0x7Fu} << shift;
    if ((*next & 0x80u) == 0) return value <= max ? std::optional(value) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<Millis> StateReader::millis(Millis max) {
  const auto value = varint(static_cast<std::uint64_t>(max.count()));
  if (!value) return std::nullopt;
  return Millis{static_cast<std::int64_t>(*value)};
}

}  // namespace policyd
