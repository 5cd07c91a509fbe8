// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/list_item.hpp"

#include <algorithm>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/name_form.hpp"
#include "daemon/names/wildcard.hpp"

namespace policyd {
namespace {

constexpr std::size_t kMaxCompared = 16;  // items of a list

// Whether the text is parts of 1 to `max_length` characters of the right kind, divided by
// `separator`. Parts may be empty if `allow_empty`.
template <typename IsRight>
bool all_parts(std::string_view text, char separator, std::size_t max_length, bool allow_empty,
               IsRight is_right) {
  while (true) {
    const auto end = text.find(separator);
    const auto part = text.substr(0, end);
    if (part.size() > max_length || (part.empty() && !allow_empty)) return false;
    if (!std::all_of(part.begin(), part.end(), is_right)) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

// Whether CBPolicyD takes the text for an address or network, so that an invalid one is an error:
// "300.1.1.1", "1:2", and even "cafe".
bool looks_like_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = text.substr(0, slash);
  const auto length = slash == std::string_view::npos ? "0" : text.substr(slash + 1);
  if (length.empty() || length.size() > 3 || !std::all_of(length.begin(), length.end(), is_digit)) {
    return false;
  }
  if (all_parts(address, '.', 3, false, is_digit) && length.size() <= 2) {
    return std::count(address.begin(), address.end(), '.') <= 3;
  }
  return !address.empty() && all_parts(address, ':', 4, true, is_hex_digit);
}

bool looks_like_address(std::string_view text) {
  return !domain_of(text).empty() && !has_white_space(text);
}

// "mailto:anna": what is before the colon is no part of the address.
bool has_scheme(std::string_view text) {
  const auto colon = text.find(':');
  return colon != std::string_view::npos && colon != 0 &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), is_letter);
}

bool is_in_typographic_quotes(std::string_view text) {
  if (text.starts_with('!')) text.remove_prefix(1);
  return std::any_of(
      kTypographicQuotes.begin(), kTypographicQuotes.end(),
      [&](std::string_view quote) { return text.starts_with(quote) || text.ends_with(quote); });
}

// Whether no address can match: "a@x;b@y", "<a@x>", "a@@x", "a@x..y", "mailto:a@x", and "!a@x"
// after the '!' that negates. Bytes beyond ASCII may be part of an address.
bool matches_no_address(std::string_view text) {
  const std::string_view domain = domain_of(text);
  const auto odd_in_domain = [](char c) {
    return static_cast<unsigned char>(c) < 0x80 && !is_letter(c) && !is_digit(c) &&
           std::string_view{"-_.*[]:"}.find(c) == std::string_view::npos;
  };
  const std::string_view local = text.substr(0, text.size() - domain.size() - 1);
  return std::any_of(domain.begin(), domain.end(), odd_in_domain) || domain.front() == '.' ||
         domain.back() == '.' || domain.find("..") != std::string_view::npos ||
         local.find_first_of(";<>|@") != std::string_view::npos || local.starts_with('"') ||
         local.starts_with('\'') || local.starts_with('!') || has_scheme(local);
}

// Whether it was to be a network of IPv4 addresses, in IPv6 form: ::ffff:192.0.2.0/24.
bool has_length_of_v4(const ListItem& item, std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of("!["), text.size()));
  const auto address = IpAddress::parse(text.substr(0, text.find('/')));
  return address && address->is_v4() && !item.network.address.is_v4();
}

// "192.0.2.0-192.0.2.255", which is taken for the name of a host.
bool is_range(std::string_view text) {
  const auto dash = text.find('-');
  return dash != std::string_view::npos && IpAddress::parse(text.substr(0, dash)) &&
         IpAddress::parse(text.substr(dash + 1));
}

bool looks_like_host(std::string_view text) {
  if (text.starts_with('.')) text.remove_prefix(1);
  const auto dot = text.rfind('.');
  if (dot == std::string_view::npos) return false;
  const auto last = text.substr(dot + 1);
  const auto is_label = [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '*';
  };
  return all_parts(text.substr(0, dot), '.', text.size(), false, is_label) && !last.empty() &&
         std::all_of(last.begin(), last.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

ListItem network_item(ItemKind kind, std::string_view text) {
  ListItem item;
  const auto network = IpNetwork::parse(text);
  item.kind = network ? kind : ItemKind::error;
  if (network) item.network = *network;
  return item;
}

ListItem text_item(ItemKind kind, std::string_view text) {
  ListItem item;
  item.kind = kind;
  item.text = kind == ItemKind::sasl_user ? login_form(text) : address_form(text);
  return item;
}

ListItem source_item(std::string_view text) {
  if (looks_like_network(text) || IpNetwork::parse(text)) {
    return network_item(ItemKind::client_network, text);
  }
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    const auto inside = text.substr(1, text.size() - 2);
    if (looks_like_network(inside) || IpNetwork::parse(inside)) {
      return network_item(ItemKind::peer_network, inside);
    }
  }
  if (text.size() > 1 && text.front() == '$' && !has_white_space(text)) {
    return text_item(ItemKind::sasl_user, text.substr(1));
  }
  if (text == "@") return text_item(ItemKind::empty_sender, text);
  if (looks_like_address(text)) return text_item(ItemKind::address, text);
  if (looks_like_host(text)) return text_item(ItemKind::host, text);
  return {};
}

// CR and LF at the end are nothing, as in the members of groups.
std::string_view without_line_end(std::string_view text) {
  return text.substr(0, text.find_last_not_of("\r\n") + 1);
}

ListItem positive_item(std::string_view text, Side side) {
  if (text.starts_with('%')) {
    ListItem item;
    item.kind = ItemKind::group;
    item.text = text.substr(1);
    return item;
  }
  if (text.empty()) return ListItem{ItemKind::error, false, {}, {}};
  if (side == Side::source) return source_item(text);
  return looks_like_address(text) ? text_item(ItemKind::address, text) : ListItem{};
}

}  // namespace

ListItem parse_item(std::string_view text, Side side) {
  text = without_line_end(text);
  text = text.substr(0, text.find('\n'));
  const bool negated = text.starts_with('!');
  if (negated) text.remove_prefix(1);
  ListItem item = positive_item(text, side);
  item.negated = negated;
  return item;
}

bool matches_everything(const std::optional<std::string>& list) {
  if (!list) return true;
  std::string text{without_line_end(*list)};
  if (text.size() != 3) return false;
  lower_case(text);
  return text == "any";
}

std::vector<std::string_view> list_items(std::string_view list) {
  std::vector<std::string_view> items;
  const auto end = list.find_last_not_of(",\r\n");
  if (end == std::string_view::npos) return items;
  list = list.substr(0, end + 1);
  while (true) {
    const auto comma = list.find(',');
    items.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return items;
    list.remove_prefix(comma + 1);
  }
}

std::vector<std::string_view> member_items(std::string_view member) {
  constexpr std::string_view kSeparators = ",\n\r";
  std::vector<std::string_view> items;
  while (true) {
    const auto end = member.find_first_of(kSeparators);
    if (end != 0 && !member.empty()) items.push_back(member.substr(0, end));
    if (end == std::string_view::npos) return items;
    member.remove_prefix(end + 1);
  }
}

bool is_longer_than_addresses(std::string_view network) {
  const int bits = network.find(':') != std::string_view::npos ? 128 : 32;
  const auto slash = network.find('/');
  return slash != std::string_view::npos &&
         parse_number<int>(network.substr(slash + 1, network.find(']', slash) - slash - 1))
                 .value_or(0) > bits;
}

std::optional<RowProblem::Kind> item_problem(std::string_view text, Side side) {
  using Kind = RowProblem::Kind;
  text = without_line_end(text);
  if (text.find('\n') != std::string_view::npos) return Kind::line_break;
  const ListItem item = parse_item(text, side);
  switch (item.kind) {
    case ItemKind::unparsable:
      return Kind::unknown_item;
    case ItemKind::error:
      return text.empty() || text == "!" ? Kind::empty_item : Kind::invalid_network;
    case ItemKind::address:
      if (matches_no_address(item.text) || is_in_typographic_quotes(text)) return Kind::no_address;
      return std::nullopt;
    case ItemKind::client_network:
    case ItemKind::peer_network:
      if (is_longer_than_addresses(text)) return Kind::long_prefix;
      if (has_length_of_v4(item, text)) return Kind::mapped_network;
      return std::nullopt;
    case ItemKind::host:
      if (is_range(item.text)) return Kind::unknown_item;
      return std::nullopt;
    case ItemKind::sasl_user:
      if (item.text.find(";$") != std::string::npos || item.text.find(";@") != std::string::npos) {
        return Kind::unknown_item;
      }
      return std::nullopt;
    case ItemKind::group:
    case ItemKind::empty_sender:
      break;
  }
  return std::nullopt;
}

namespace {

bool with_star(std::string_view pattern) { return pattern.find('*') != std::string_view::npos; }

// Whether a text can match both patterns. Those with stars differ in what is before the first or
// after the last, or in nothing.
bool may_share(std::string_view a, std::string_view b) {
  const auto star_of_a = a.find('*');
  const auto star_of_b = b.find('*');
  if (star_of_a == std::string_view::npos) return wildcard_match(b, a);
  if (star_of_b == std::string_view::npos) return wildcard_match(a, b);
  const auto begin_of_a = a.substr(0, star_of_a);
  const auto begin_of_b = b.substr(0, star_of_b);
  const auto end_of_a = a.substr(a.rfind('*') + 1);
  const auto end_of_b = b.substr(b.rfind('*') + 1);
  return (begin_of_a.starts_with(begin_of_b) || begin_of_b.starts_with(begin_of_a)) &&
         (end_of_a.ends_with(end_of_b) || end_of_b.ends_with(end_of_a));
}

// Where letters beyond ASCII stand beside a star, their other spelling is not compared.
bool domains_may_share(std::string_view a, std::string_view b) {
  return may_share(a, b) || domain_match(a, b) || domain_match(b, a) ||
         (with_star(a) && with_star(b) && !(is_ascii(a) && is_ascii(b)));
}

bool is_any(std::string_view pattern) { return pattern.find_first_not_of('*') == pattern.npos; }

// Whether all that `narrow` matches is matched by `wide`, both of one kind. A star of `narrow` is
// only matched by one of `wide`, which then takes whatever it stands for.
bool contains(const ListItem& wide, const ListItem& narrow) {
  switch (wide.kind) {
    case ItemKind::address: {
      const auto local = local_part_of(wide.text);
      const auto narrow_local = local_part_of(narrow.text);
      return domain_match(domain_of(wide.text), domain_of(narrow.text)) &&
             (is_any(local) || (!narrow_local.empty() && wildcard_match(local, narrow_local)));
    }
    case ItemKind::sasl_user:  // '-' is mail without one
      return narrow.text == "-" ? wide.text == "-" : wildcard_match(wide.text, narrow.text);
    case ItemKind::client_network:
    case ItemKind::peer_network:
      return wide.network.length <= narrow.network.length &&
             wide.network.contains(narrow.network.address);
    case ItemKind::host:
      return wide.text == narrow.text || (!with_star(narrow.text) && narrow.text.front() != '.' &&
                                          host_match(wide.text, narrow.text));
    case ItemKind::group:
    case ItemKind::empty_sender:
      return wide.text == narrow.text;
    case ItemKind::unparsable:
    case ItemKind::error:
      break;
  }
  return false;
}

// Whether no mail matches both: two addresses, logins or networks apart, or one within the negation
// of another.
bool exclude_each_other(const ListItem& a, const ListItem& b) {
  if (a.kind != b.kind) return false;
  if (a.negated != b.negated) return a.negated ? contains(a, b) : contains(b, a);
  const bool all_logins = a.kind == ItemKind::sasl_user &&
                          ((a.text == "-" && is_any(b.text)) || (b.text == "-" && is_any(a.text)));
  if (a.negated) return all_logins;
  switch (a.kind) {
    case ItemKind::address: {
      const auto local_of_a = local_part_of(a.text);
      const auto local_of_b = local_part_of(b.text);
      return !domains_may_share(domain_of(a.text), domain_of(b.text)) ||
             (!local_of_a.empty() && !local_of_b.empty() && !may_share(local_of_a, local_of_b));
    }
    case ItemKind::sasl_user:
      return all_logins || !may_share(a.text, b.text);
    case ItemKind::client_network:
    case ItemKind::peer_network:
      return !a.network.contains(b.network.address) && !b.network.contains(a.network.address);
    case ItemKind::host:
      return !with_star(a.text) && !with_star(b.text) && a.text.front() != '.' &&
             b.text.front() != '.' && a.text != b.text;
    case ItemKind::group:
    case ItemKind::empty_sender:
    case ItemKind::unparsable:
    case ItemKind::error:
      break;
  }
  return false;
}

}  // namespace

std::optional<std::pair<std::string_view, std::string_view>> never_together(std::string_view list,
                                                                            Side side) {
  const auto texts = list_items(list);
  std::vector<ListItem> items;
  for (std::size_t i = 0; i < std::min(texts.size(), kMaxCompared); ++i) {
    items.push_back(parse_item(texts[i], side));
    for (std::size_t j = 0; j < i; ++j) {
      if (exclude_each_other(items[j], items[i])) return std::pair{texts[j], texts[i]};
    }
  }
  return std::nullopt;
}

}  // namespace policyd
