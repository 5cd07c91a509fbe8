// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/atom_table.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/wildcard.hpp"

#include <algorithm>
#include <functional>
#include <optional>

namespace policyd {
namespace {

constexpr std::size_t kNetworkKeyLength = 18;

template <typename Enum>
constexpr std::size_t index_of(Enum value) {
  return static_cast<std::size_t>(value);
}

std::uint32_t tag_of(std::size_t kind, std::string_view text) {
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;
  return HashIndex::tag_of((std::hash<std::string_view>{}(text) ^ (kind * kOdd)) * kOdd);
}

std::array<char, kNetworkKeyLength> network_key(const IpAddress& masked, int length) {
  std::array<char, kNetworkKeyLength> key{};
  key.at(0) = masked.is_v4() ? '4' : '6';
  key.at(1) = static_cast<char>(length);
  std::copy(masked.bytes().begin(), masked.bytes().end(), key.begin() + 2);
  return key;
}

bool has_star(std::string_view text) { return text.find('*') != std::string_view::npos; }
bool only_stars(std::string_view text) { return text.find_first_not_of('*') == text.npos; }
// "*.example.org" → ".example.org"; nullopt if the rest has a star or begins with something else.
std::optional<std::string_view> plain_suffix(std::string_view pattern, char first) {
  if (pattern.size() < 2 || pattern[0] != '*' || pattern[1] != first) return std::nullopt;
  pattern.remove_prefix(1);
  return has_star(pattern) ? std::nullopt : std::optional(pattern);
}

}  // namespace

AtomTable::AtomTable() : keys_(1) {}

std::uint32_t AtomTable::intern(const ListItem& item, Side side) {
  switch (item.kind) {
    case ItemKind::client_network:
      return add_network(Kind::client_network, item.network);
    case ItemKind::peer_network:
      return item.negated ? add_outside(item.network)
                          : add_network(Kind::peer_network, item.network);
    case ItemKind::sasl_user:
      return intern_sasl(item.text);
    case ItemKind::empty_sender:
      return add(Kind::empty_sender, {});
    case ItemKind::address:
      return intern_address(item.text, side);
    case ItemKind::host:
      return intern_host(item.text);
    case ItemKind::group:
    case ItemKind::unparsable:
    case ItemKind::error:
      break;
  }
  return kNothing;
}

std::uint32_t AtomTable::intern_sasl(std::string_view name) {
  if (!has_star(name)) return add(Kind::sasl_user, name);
  const auto domain = plain_suffix(name, '@');
  if (domain && domain->rfind('@') == 0) return add(Kind::sasl_domain, domain->substr(1));
  return add_wildcard(Kind::sasl_wildcard, name);
}

std::uint32_t AtomTable::intern_host(std::string_view pattern) {
  if (has_star(pattern)) return add_wildcard(Kind::host_wildcard, pattern);
  return add(pattern.front() == '.' ? Kind::host_suffix : Kind::host, pattern);
}

std::uint32_t AtomTable::intern_address(std::string_view pattern, Side side) {
  const bool source = side == Side::source;
  const auto local_part = local_part_of(pattern);
  const auto domain = domain_of(pattern);
  if (only_stars(local_part)) {  // none at all means any, too
    if (!has_star(domain)) {
      return add(source ? Kind::source_domain : Kind::destination_domain, domain);
    }
    if (const auto suffix = plain_suffix(domain, '.')) {
      return add(source ? Kind::source_domain_suffix : Kind::destination_domain_suffix, *suffix);
    }
  } else if (!has_star(local_part)) {
    if (!has_star(domain)) {
      return add(source ? Kind::source_address : Kind::destination_address, pattern);
    }
    if (only_stars(domain)) {
      return add(source ? Kind::source_local_part : Kind::destination_local_part, local_part);
    }
  }
  return add_wildcard(source ? Kind::source_wildcard : Kind::destination_wildcard, pattern);
}

std::uint32_t AtomTable::add(Kind kind, std::string_view text) {
  if (const auto known = lookup(kind, text); known != kNothing) return known;
  const auto atom = size();
  keys_.push_back(
      Key{kind, static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(text.size())});
  text_ += text;
  ++number_of_.at(index_of(kind));
  auto& max_length = max_length_.at(index_of(kind));
  max_length = std::max(max_length, text.size());
  index_.insert(tag_of(index_of(kind), text), atom);
  return atom;
}

std::uint32_t AtomTable::add_network(Kind kind, const IpNetwork& network) {
  auto& lengths = prefix_lengths_.at(index_of(kind));
  const bool v4 = network.address.is_v4();
  const auto same = [&](const PrefixLength& p) { return p.v4 == v4 && p.length == network.length; };
  if (std::none_of(lengths.begin(), lengths.end(), same)) {
    lengths.push_back(PrefixLength{v4, network.length});
  }
  const auto key = network_key(network.address, network.length);
  return add(kind, std::string_view(key.data(), key.size()));
}

std::uint32_t AtomTable::add_outside(const IpNetwork& network) {
  const auto before = size();
  const auto key = network_key(network.address, network.length);
  const auto atom = add(Kind::not_peer_network, std::string_view(key.data(), key.size()));
  if (atom == before) outside_peer_networks_.push_back(Outside{atom, network});
  return atom;
}

std::uint32_t AtomTable::add_wildcard(Kind kind, std::string_view text) {
  const auto before = size();
  const auto atom = add(kind, text);
  if (atom != before) return atom;  // known
  Wildcard wildcard{atom, {}, std::string(text)};
  if (kind == Kind::source_wildcard || kind == Kind::destination_wildcard) {
    // Assigning "*" itself brings a false -Wrestrict from GCC 12 with -O3.
    const auto local_part = local_part_of(text);
    wildcard.local_part = local_part.empty() ? std::string_view("*") : local_part;
    wildcard.pattern = domain_of(text);
  }
  wildcards_.at(index_of(kind)).push_back(std::move(wildcard));
  return atom;
}

void AtomTable::find(const Request& request, const Extensions& extensions, std::string& buffer,
                     Found& found) const {
  find_address(request.sender, Side::source, extensions, buffer, found);
  if (request.sender.empty()) find_text(Kind::empty_sender, {}, found);
  find_address(request.recipient, Side::destination, extensions, buffer, found);
  find_sasl(request, found);
  find_network(Kind::client_network, request.client_address, found);
  if (request.peer_address) find_peer(*request.peer_address, found);
  if (number_of_.at(index_of(Kind::host)) + number_of_.at(index_of(Kind::host_suffix)) +
          number_of_.at(index_of(Kind::host_wildcard)) >
      0) {
    buffer = request.reverse_client_name;
    lower_case(buffer);
    find_host(buffer, found);
  }
}

void AtomTable::find_address(std::string_view address, Side side, const Extensions& extensions,
                             std::string& buffer, Found& found) const {
  const bool source = side == Side::source;
  if (address.empty()) return;
  const auto domain = domain_of(address);
  const auto local_part = local_part_of(address);
  find_text(source ? Kind::source_address : Kind::destination_address, address, found);
  find_text(source ? Kind::source_domain : Kind::destination_domain, domain, found);
  find_text(source ? Kind::source_local_part : Kind::destination_local_part, local_part, found);
  // As in Postfix's tables: first the full address, then the user's.
  const auto user = extensions.user_of(address);
  const bool extended = user.size() < local_part.size();
  if (extended) {
    buffer = user;
    buffer += address.substr(local_part.size());
    find_text(source ? Kind::source_address : Kind::destination_address, buffer, found);
    find_text(source ? Kind::source_local_part : Kind::destination_local_part, user, found);
  }
  find_suffixes(source ? Kind::source_domain_suffix : Kind::destination_domain_suffix, domain,
                found);
  const auto kind = source ? Kind::source_wildcard : Kind::destination_wildcard;
  for (const auto& wildcard : wildcards_.at(index_of(kind))) {
    if (domain_match(wildcard.pattern, domain) &&
        (wildcard_match(wildcard.local_part, local_part) ||
         (extended && wildcard_match(wildcard.local_part, user)))) {
      found.push_back(wildcard.atom);
    }
  }
}

void AtomTable::find_sasl(const Request& request, Found& found) const {
  const auto name = request.sasl_username.value_or(std::string_view{});
  if (name.empty()) return find_text(Kind::sasl_user, "-", found);  // `$-`
  find_text(Kind::sasl_user, name, found);
  const auto at = name.rfind('@');
  if (at != std::string_view::npos) find_text(Kind::sasl_domain, name.substr(at + 1), found);
  for (const auto& wildcard : wildcards_.at(index_of(Kind::sasl_wildcard))) {
    if (wildcard_match(wildcard.pattern, name)) found.push_back(wildcard.atom);
  }
}

void AtomTable::find_host(std::string_view name, Found& found) const {
  find_text(Kind::host, name, found);
  find_suffixes(Kind::host_suffix, name, found);
  for (const auto& wildcard : wildcards_.at(index_of(Kind::host_wildcard))) {
    if (host_match(wildcard.pattern, name)) found.push_back(wildcard.atom);
  }
}

void AtomTable::find_network(Kind kind, const IpAddress& address, Found& found) const {
  for (const auto& prefix : prefix_lengths_.at(index_of(kind))) {
    if (prefix.v4 != address.is_v4()) continue;
    const auto key = network_key(address.masked(prefix.length), prefix.length);
    find_text(kind, std::string_view(key.data(), key.size()), found);
  }
}

void AtomTable::find_peer(const IpAddress& peer, Found& found) const {
  find_network(Kind::peer_network, peer, found);
  for (const auto& outside : outside_peer_networks_) {
    if (!outside.network.contains(peer)) found.push_back(outside.atom);
  }
}

void AtomTable::find_text(Kind kind, std::string_view text, Found& found) const {
  const auto atom = lookup(kind, text);
  if (atom != kNothing) found.push_back(atom);
}

// Every suffix of `text` that begins with a dot, short ones first.
void AtomTable::find_suffixes(Kind kind, std::string_view text, Found& found) const {
  const auto max_length = max_length_.at(index_of(kind));
  for (auto dot = text.rfind('.'); dot != std::string_view::npos; dot = text.rfind('.', dot - 1)) {
    const auto suffix = text.substr(dot);
    if (suffix.size() > max_length) return;
    find_text(kind, suffix, found);
    if (dot == 0) return;
  }
}

std::uint32_t AtomTable::lookup(Kind kind, std::string_view text) const {
  if (number_of_.at(index_of(kind)) == 0) return kNothing;
  const std::uint32_t atom = index_.find(tag_of(index_of(kind), text), [&](std::uint32_t known) {
    const Key& key = keys_[known];
    return key.kind == kind && text_of(key) == text;
  });
  return atom == HashIndex::kNone ? kNothing : atom;
}

std::string_view AtomTable::text_of(const Key& key) const {
  return std::string_view(text_).substr(key.begin, key.length);
}

}  // namespace policyd
