// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "daemon/base/append_number.hpp"
#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

constexpr int kMappedLength = 96;  // of ::ffff:0:0/96 (RFC 4291, 2.5.5.2)
constexpr std::string_view kHexDigits = "0123456789abcdef";

// A number of one to `max_digits` decimal digits and nothing else.
std::optional<int> parse_decimal(std::string_view text, std::size_t max_digits) {
  if (text.empty() || text.size() > max_digits) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// One to four hexadecimal digits and nothing else.
std::optional<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    const auto digit = kHexDigits.find(lower(c));
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<unsigned>(digit);
  }
  return static_cast<std::uint16_t>(value);
}

struct Octets {
  std::array<std::uint8_t, 4> bytes{};
  std::size_t count = 0;
};

// One to four octets separated by dots. A leading zero does not make a number octal.
std::optional<Octets> parse_octets(std::string_view text) {
  Octets octets;
  while (true) {
    const auto dot = text.find('.');
    const auto octet = parse_decimal(text.substr(0, dot), 3);
    if (!octet || *octet > 255 || octets.count == octets.bytes.size()) return std::nullopt;
    octets.bytes.at(octets.count++) = static_cast<std::uint8_t>(*octet);
    if (dot == std::string_view::npos) return octets;
    text.remove_prefix(dot + 1);
  }
}

struct Groups {
  std::array<std::uint16_t, 8> values{};
  std::size_t count = 0;

  bool add(std::uint16_t value) {
    if (count == values.size()) return false;
    values.at(count++) = value;
    return true;
  }
};

// IPv6 groups separated by single colons; the last two may be written as an IPv4 address. An empty
// text has no groups.
std::optional<Groups> parse_groups(std::string_view text, bool may_end_in_v4) {
  Groups groups;
  while (!text.empty()) {
    const auto colon = text.find(':');
    const auto part = text.substr(0, colon);
    if (const auto group = parse_group(part)) {
      if (!groups.add(*group)) return std::nullopt;
    } else {
      const auto v4 = parse_octets(part);
      if (!v4 || v4->count != 4 || colon != std::string_view::npos || !may_end_in_v4) {
        return std::nullopt;
      }
      const auto& b = v4->bytes;
      if (!groups.add(static_cast<std::uint16_t>(b.at(0) << 8 | b.at(1))) ||
          !groups.add(static_cast<std::uint16_t>(b.at(2) << 8 | b.at(3)))) {
        return std::nullopt;
      }
    }
    if (colon == std::string_view::npos) return groups;
    text.remove_prefix(colon + 1);
    if (text.empty()) return std::nullopt;  // ends in a single colon
  }
  return groups;
}

struct V6Text {
  std::array<std::uint8_t, 16> bytes{};
  int implied_length = 128;  // shorter if the text ends in "::"
};

std::optional<V6Text> parse_v6(std::string_view text) {
  const auto gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  const auto right = has_gap ? text.substr(gap + 2) : std::string_view{};
  if (right.find("::") != std::string_view::npos || right.starts_with(':')) return std::nullopt;
  const auto before = parse_groups(text.substr(0, gap), !has_gap);
  const auto after = parse_groups(right, true);
  if (!before || !after) return std::nullopt;
  const auto given = before->count + after->count;
  if (has_gap ? given > 7 : given != 8) return std::nullopt;

  V6Text result;
  const auto put = [&result](std::size_t index, std::uint16_t group) {
    result.bytes.at(2 * index) = static_cast<std::uint8_t>(group >> 8);
    result.bytes.at(2 * index + 1) = static_cast<std::uint8_t>(group & 0xff);
  };
  for (std::size_t i = 0; i < before->count; ++i) put(i, before->values.at(i));
  for (std::size_t i = 0; i < after->count; ++i) put(8 - after->count + i, after->values.at(i));
  if (has_gap && after->count == 0) result.implied_length = static_cast<int>(16 * before->count);
  return result;
}

bool is_mapped(const std::array<std::uint8_t, 16>& b) {
  return std::all_of(b.begin(), b.begin() + 10, [](std::uint8_t x) { return x == 0; }) &&
         b.at(10) == 0xff && b.at(11) == 0xff;
}

std::uint32_t host_order(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d;
}

IpAddress from_octets(const Octets& o) {
  return IpAddress::v4(host_order(o.bytes.at(0), o.bytes.at(1), o.bytes.at(2), o.bytes.at(3)));
}

IpNetwork make_network(const IpAddress& address, int length) {
  const int kept = std::clamp(length, 0, address.bits());
  return IpNetwork{address.masked(kept), kept};
}

std::optional<IpNetwork> parse_v6_network(std::string_view address, std::optional<int> length) {
  const auto v6 = parse_v6(address);
  if (!v6) return std::nullopt;
  const int bits = std::min(length.value_or(v6->implied_length), 128);
  if (is_mapped(v6->bytes) && bits >= kMappedLength) {
    return make_network(IpAddress::v6(v6->bytes), bits - kMappedLength);
  }
  auto bytes = v6->bytes;
  // Masked here and not by masked(): with a shorter length it is no longer a mapped address.
  for (int bit = bits; bit < 128; ++bit) {
    auto& byte = bytes.at(static_cast<std::size_t>(bit) / 8);
    byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (bit % 8)));
  }
  return IpNetwork{IpAddress::v6(bytes), bits};
}

std::optional<IpNetwork> parse_v4_network(std::string_view address, std::optional<int> length) {
  const auto octets = parse_octets(address);
  if (!octets) return std::nullopt;
  return make_network(from_octets(*octets), length.value_or(static_cast<int>(8 * octets->count)));
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress address;
  for (std::size_t i = 0; i < 4; ++i) {
    address.bytes_.at(i) = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  }
  return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  if (is_mapped(bytes)) {
    return v4(host_order(bytes.at(12), bytes.at(13), bytes.at(14), bytes.at(15)));
  }
  IpAddress address;
  address.bytes_ = bytes;
  address.v4_ = false;
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    const auto v6_text = parse_v6(text);
    return v6_text ? std::optional(v6(v6_text->bytes)) : std::nullopt;
  }
  const auto octets = parse_octets(text);
  if (!octets || octets->count != 4) return std::nullopt;
  return from_octets(*octets);
}

IpAddress IpAddress::masked(int length) const {
  IpAddress result = *this;
  const int kept = std::clamp(length, 0, bits());
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    const int bits_here = std::clamp(kept - static_cast<int>(8 * i), 0, 8);
    result.bytes_.at(i) = static_cast<std::uint8_t>(bytes_.at(i) & (0xff00U >> bits_here));
  }
  return result;
}

void IpAddress::append_to(std::string& out) const {
  if (v4_) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) out += '.';
      append_number(out, std::int64_t{bytes_.at(i)});
    }
    return;
  }
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    if (i > 0 && i % 2 == 0) out += ':';
    out += kHexDigits[bytes_.at(i) >> 4];
    out += kHexDigits[bytes_.at(i) & 0xf];
  }
}

void IpAddress::append_short_to(std::string& out) const {
  if (v4_) return append_to(out);
  out += to_short_string();
}

std::string IpAddress::to_short_string() const {
  if (v4_) return to_string();
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  return text.data();
}

std::string IpAddress::to_string() const {
  std::string text;
  append_to(text);
  return text;
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const bool is_v6 = text.find(':') != std::string_view::npos;
  const auto slash = text.find('/');
  std::optional<int> length;
  if (slash != std::string_view::npos) {
    length = parse_decimal(text.substr(slash + 1), is_v6 ? 3 : 2);
    if (!length) return std::nullopt;
  }
  const auto address = text.substr(0, slash);
  return is_v6 ? parse_v6_network(address, length) : parse_v4_network(address, length);
}

bool IpNetwork::contains(const IpAddress& other) const {
  return other.is_v4() == address.is_v4() && other.masked(length) == address;
}

}  // namespace policyd
