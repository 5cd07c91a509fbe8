// SPDX-License-Identifier: AGPL-3.0-only
// quotas_tracking.State: a window as it is stored. Anybody who may write the database may have
// written it, so everything is bounded.
//
//   version        1 byte, kVersion
//   Counter        8 bytes, IEEE 754, little end first: the columns it was written with
//   LastUpdate     8 bytes, the same
//   pairs          how many follow; with none, that is the end
//   first arrival  of the newest pair, in ms since 1970
//   newest pair    last arrival after the first, in ms; units
//   each older     how much before the next newer pair's last arrival, in ms; units
//
// The numbers are varints: seven bits a byte, lowest first, the top bit set in all but the last.
#include <algorithm>
#include <bit>

#include "daemon/counting/window.hpp"

namespace policyd {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kDoubleBytes = 8;
constexpr std::size_t kVarintBytes = 10;  // of 64 bits
constexpr std::size_t kMaxBytes =
    1 + 2 * kDoubleBytes + 2 * kVarintBytes + Window::kMaxPairs * 2 * kVarintBytes;
static_assert(kVarintBytes * 7 >= 64);

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

// Takes values off the front of a blob; nullopt when there is no valid one.
class Reader {
 public:
  explicit Reader(std::string_view blob) : left_(blob) {}

  [[nodiscard]] bool at_end() const { return left_.empty(); }

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

  // At most `most`; a varint of more bits than `most` needs is none.
  std::optional<std::uint64_t> varint(std::uint64_t most) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      const auto next = byte();
      if (!next) return std::nullopt;
      value |= std::uint64_t{*next & 0x7Fu} << shift;
      if ((*next & 0x80u) == 0) return value <= most ? std::optional(value) : std::nullopt;
    }
    return std::nullopt;
  }

  std::optional<Millis> millis(Millis most) {
    const auto value = varint(static_cast<std::uint64_t>(most.count()));
    if (!value) return std::nullopt;
    return Millis{static_cast<std::int64_t>(*value)};
  }

 private:
  std::string_view left_;
};

static_assert(Window::kMaxUnits < std::uint64_t{1} << 62);  // fits into the 63 bits of varint()

}  // namespace

void Window::serialize(std::string& out, double counter, double last_update_s) const {
  out += kVersion;
  put_double(out, counter);
  put_double(out, last_update_s);
  put_varint(out, pairs_.size());
  if (pairs_.empty()) return;
  put_millis(out, newest_first_ - kEarliest);
  put_millis(out, pairs_.back().last - newest_first_);
  put_varint(out, pairs_.back().units);
  for (std::size_t i = pairs_.size() - 1; i > 0; --i) {
    put_millis(out, pairs_[i].last - pairs_[i - 1].last);
    put_varint(out, pairs_[i - 1].units);
  }
}

std::optional<Window> Window::parse(std::string_view blob, double counter, double last_update_s) {
  if (blob.size() > kMaxBytes) return std::nullopt;
  Reader reader{blob};
  if (reader.byte() != kVersion) return std::nullopt;
  if (reader.number() != counter || reader.number() != last_update_s) return std::nullopt;
  const auto count = reader.varint(kMaxPairs);
  if (!count) return std::nullopt;

  Window window;
  TimePoint last;
  for (std::uint64_t i = 0; i < *count; ++i) {
    if (i == 0) {
      const auto first = reader.millis(kLatest - kEarliest);
      if (!first) return std::nullopt;
      window.newest_first_ = kEarliest + *first;
      const auto since = reader.millis(kLatest - window.newest_first_);
      if (!since) return std::nullopt;
      last = window.newest_first_ + *since;
    } else {
      const auto before = reader.millis(last - kEarliest);
      if (!before) return std::nullopt;
      last -= *before;
    }
    const auto units = reader.varint(kMaxUnits);
    if (!units || *units == 0) return std::nullopt;
    window.pairs_.push_back(WindowPair{last, *units});
    window.use_ += *units;
  }
  if (!reader.at_end()) return std::nullopt;
  std::reverse(window.pairs_.begin(), window.pairs_.end());
  return window;
}

}  // namespace policyd
