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

using V6Bytes = std::array<std::uint8_t, 16>;

// In network order. inet_pton(3) takes no leading zeros in an IPv4 address at the end, so that is
// read here.
std::optional<V6Bytes> parse_v6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> groups{};
  if (text.size() >= groups.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::optional<Octets> v4;
  const bool ends_in_v4 = text.find('.') != std::string_view::npos;
  if (ends_in_v4) {
    const auto begin = text.rfind(':') + 1;
    v4 = parse_octets(text.substr(begin));
    if (!v4 || v4->count != v4->bytes.size()) return std::nullopt;
    text = text.substr(0, begin);
  }
  text.copy(groups.data(), text.size());
  if (ends_in_v4) std::string_view{"0:0"}.copy(groups.data() + text.size(), 3);
  V6Bytes bytes{};
  if (::inet_pton(AF_INET6, groups.data(), bytes.data()) != 1) return std::nullopt;
  if (ends_in_v4) std::copy(v4->bytes.begin(), v4->bytes.end(), bytes.end() - 4);
  return bytes;
}

// The groups before a "::" at the end count; otherwise all bits do.
int implied_length(std::string_view v6) {
  if (!v6.ends_with("::")) return 128;
  return v6 == "::" ? 0 : static_cast<int>(16 * (std::count(v6.begin(), v6.end(), ':') - 1));
}

bool is_mapped(const V6Bytes& b) {
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
  auto v6 = parse_v6(address);
  if (!v6) return std::nullopt;
  const int bits = std::min(length.value_or(implied_length(address)), 128);
  if (is_mapped(*v6) && bits >= kMappedLength) {
    return make_network(IpAddress::v6(*v6), bits - kMappedLength);
  }
  // Masked here and not by masked(): with a shorter length it is no longer a mapped address.
  for (int bit = bits; bit < 128; ++bit) {
    auto& byte = v6->at(static_cast<std::size_t>(bit) / 8);
    byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (bit % 8)));
  }
  return IpNetwork{IpAddress::v6(*v6), bits};
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
    const auto bytes = parse_v6(text);
    return bytes ? std::optional(v6(*bytes)) : std::nullopt;
  }
  const auto octets = parse_octets(text);
  if (!octets || octets->count != octets->bytes.size()) return std::nullopt;
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
