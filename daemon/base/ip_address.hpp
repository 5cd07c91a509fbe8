// SPDX-License-Identifier: AGPL-3.0-only
// IP addresses and networks: parsing, normal form, and the notations CBPolicyD accepts for a
// network. Pure functions and values; any thread.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace policyd {

// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses (::ffff:192.0.2.1) become IPv4 when parsed.
class IpAddress {
 public:
  // Complete textual addresses only: "192.0.2.1", "2001:DB8::1". No brackets, no length, no zone.
  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);  // mapped ones become IPv4

  [[nodiscard]] bool is_v4() const { return v4_; }
  [[nodiscard]] int bits() const { return v4_ ? 32 : 128; }
  // The address in network order; an IPv4 address is the first four bytes, the rest zero.
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  // Keeps the first `length` bits and clears the others; beyond bits() all are kept, below 0 none.
  [[nodiscard]] IpAddress masked(int length) const;

  // "192.0.2.1"; IPv6 as eight groups of four digits, as in CBPolicyD's tracking keys
  // ("2001:0db8:0000:0000:0000:0000:0000:0001").
  void append_to(std::string& out) const;
  [[nodiscard]] std::string to_string() const;
  // As Postfix writes it: IPv6 is shortened, "2001:db8::1".
  [[nodiscard]] std::string to_short_string() const;
  void append_short_to(std::string& out) const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v4_ = true;
};

// A network: an address and its number of significant leading bits; all of them for a single host.
struct IpNetwork {
  IpAddress address;  // masked
  int length = 0;     // 0..address.bits()

  // Accepts what CBPolicyD accepts: "192.0.2.0/24", "192.0.2.1", "10" (/8), "10.1" (/16),
  // "192.0.2" (/24), "2001:db8::/32", and "2001:db8::" whose length follows from the groups given
  // (/32; so "::" is /0). A length of two digits (IPv6: three) beyond the address's bits means all
  // of them: "192.0.2.0/40" is /32. A network of IPv4-mapped addresses becomes an IPv4 network.
  // Nullopt for anything else.
  static std::optional<IpNetwork> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& other) const;

  auto operator<=>(const IpNetwork&) const = default;
};

}  // namespace policyd
