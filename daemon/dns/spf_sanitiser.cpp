// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/spf_sanitiser.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

namespace policyd {

namespace {

constexpr std::string_view kVersion = "v=spf1";
constexpr std::size_t kMaxRecord = 4096;
constexpr std::size_t kMaxTerm = 255;
constexpr std::size_t kMaxName = 253;
constexpr int kMaxLabels = 128;
// Replaces characters that no host name contains; it has no meaning for libspf2.
constexpr char kNowhere = '!';

std::optional<int> number(std::string_view text, int max) {
  int value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value < 0 || value > max) {
    return std::nullopt;
  }
  return value;
}

bool is_in_names(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view{"-_.+=@"}.find(c) != std::string_view::npos;
}

// The value of %{i}; an IPv6 address is 32 digits with dots between them.
std::string address_value(const IpAddress& address) {
  if (address.is_v4()) return address.to_string();
  std::string value;
  for (const char digit : address.to_string()) {
    if (digit == ':') continue;
    if (!value.empty()) value += '.';
    value += digit;
  }
  return value;
}

std::optional<std::string> value_of(char letter, std::string_view domain, const SpfIdentity& who) {
  switch (letter) {
    case 's':
      return who.sender;
    case 'l':
      return std::string{local_part_of(who.sender)};
    case 'o':
      return std::string{domain_of(who.sender)};
    case 'd':
      return std::string{domain};
    case 'i':
      return address_value(who.client);
    case 'p':
      return "unknown";
    case 'v':
      return who.client.is_v4() ? "in-addr" : "ip6";
    case 'h':
      return who.helo_name;
    default:
      return std::nullopt;
  }
}

// Splits at the delimiters, reverses if asked to, and joins the last `max_parts` parts with dots.
std::string transformed(std::string_view value, std::string_view delimiters, bool reversed,
                        std::size_t max_parts) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = value.find_first_of(delimiters);
    parts.push_back(value.substr(0, end));
    if (end == std::string_view::npos) break;
    value.remove_prefix(end + 1);
  }
  if (reversed) std::reverse(parts.begin(), parts.end());
  std::string text;
  for (std::size_t i = parts.size() - std::min(max_parts, parts.size()); i < parts.size(); ++i) {
    if (!text.empty()) text += '.';
    text += parts[i];
  }
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_in_names(c); }, kNowhere);
  return text;
}

// The inside of %{...}: a letter, the number of labels, `r`, delimiters.
std::optional<std::string> expand_macro(std::string_view macro, std::string_view domain,
                                        const SpfIdentity& who) {
  constexpr std::string_view kDelimiters = ".-+,/_=";
  if (macro.empty()) return std::nullopt;
  // Capitals request URL escapes, which no name contains.
  std::string letter{macro.substr(0, 1)};
  lower_case(letter);
  const auto value = value_of(letter.front(), domain, who);
  if (!value) return std::nullopt;
  macro.remove_prefix(1);

  const auto* end = std::find_if_not(macro.begin(), macro.end(), is_digit);
  const auto digits = static_cast<std::size_t>(end - macro.begin());
  const int labels =
      digits == 0 ? kMaxLabels : number(macro.substr(0, digits), kMaxLabels).value_or(0);
  if (labels == 0) return std::nullopt;
  macro.remove_prefix(digits);
  const bool reversed = macro.starts_with('r') || macro.starts_with('R');
  if (reversed) macro.remove_prefix(1);
  if (macro.find_first_not_of(kDelimiters) != std::string_view::npos) return std::nullopt;
  return transformed(*value, macro.empty() ? "." : macro, reversed,
                     static_cast<std::size_t>(labels));
}

// A domain-spec with a possible "/24" after it.
std::optional<std::string> expand(std::string_view text, std::string_view domain,
                                  const SpfIdentity& who) {
  std::string expanded;
  while (!text.empty()) {
    const std::size_t percent = text.find('%');
    expanded += text.substr(0, percent);
    if (percent == std::string_view::npos) break;
    text.remove_prefix(percent + 1);
    if (text.empty()) return std::nullopt;
    std::size_t used = 1;
    if (text[0] == '%' || text[0] == '_' || text[0] == '-') {
      expanded += kNowhere;
    } else {
      used = text.find('}');
      if (text[0] != '{' || used == std::string_view::npos) return std::nullopt;
      const auto value = expand_macro(text.substr(1, used - 1), domain, who);
      if (!value) return std::nullopt;
      expanded += *value;
      ++used;
    }
    text.remove_prefix(used);
  }
  // RFC 7208, 7.3: a name that is too long loses its first labels.
  while (expanded.find('/') > kMaxName && expanded.size() > kMaxName) {
    const std::size_t dot = expanded.find('.');
    if (dot == std::string::npos) return std::nullopt;
    expanded.erase(0, dot + 1);
  }
  return expanded;
}

// Removes the qualifier; returns "ip4:" or "ip6:" if the term begins with it, in any case, else an
// empty string.
std::string address_kind(std::string_view& term) {
  if (!term.empty() && std::string_view{"+-~?"}.find(term.front()) != std::string_view::npos) {
    term.remove_prefix(1);
  }
  std::string kind{term.substr(0, 4)};
  lower_case(kind);
  return kind == "ip4:" || kind == "ip6:" ? kind : std::string{};
}

// RFC 7208, 5.6: networks contain no macros.
bool is_address_with_macro(std::string_view term) {
  return !address_kind(term).empty() && term.find('%') != std::string_view::npos;
}

// A term that libspf2 may see.
std::optional<std::string> safe_term(std::string_view term, std::string_view domain,
                                     const SpfIdentity& who) {
  if (term.size() > kMaxTerm || is_address_with_macro(term)) return std::nullopt;
  const std::size_t begin = term.find_first_of(":=");
  if (begin == std::string_view::npos) {
    return term.find('%') == std::string_view::npos ? std::optional{std::string{term}}
                                                    : std::nullopt;
  }
  const std::string_view kind = term.substr(0, begin + 1);
  if (kind.find('%') != std::string_view::npos) return std::nullopt;
  const auto rest = expand(term.substr(begin + 1), domain, who);
  if (!rest || kind.size() + rest->size() > kMaxTerm + 32) return std::nullopt;
  return std::string{kind} + *rest;
}

// The name of "name=...", which is not a mechanism.
std::optional<std::string> modifier_name(std::string_view term) {
  const std::size_t equals = term.find('=');
  if (equals == std::string_view::npos || equals == 0 || !is_letter(term.front())) {
    return std::nullopt;
  }
  std::string name{term.substr(0, equals)};
  const bool valid = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
  });
  if (!valid) return std::nullopt;
  lower_case(name);
  return name;
}

// A valid ip4 or ip6 term that does not contain the address. libspf2 handles the others.
bool is_other_address(std::string_view term, const IpAddress& client) {
  const std::string kind = address_kind(term);
  if (kind.empty()) return false;
  std::string_view text = term.substr(4);
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  // Mapped addresses count as IPv4 here; they are rare.
  if (!address || address->is_v4() != (kind == "ip4:")) return false;
  std::optional<int> length = address->bits();
  if (slash != std::string_view::npos) length = number(text.substr(slash + 1), address->bits());
  return length && !IpNetwork{address->masked(*length), *length}.contains(client);
}

}  // namespace

bool is_spf_record(std::string_view text) {
  std::string version{text.substr(0, kVersion.size())};
  lower_case(version);
  return version == kVersion && (text.size() == kVersion.size() || text[kVersion.size()] == ' ');
}

std::optional<std::string> safe_spf_record(std::string_view text, std::string_view domain,
                                           const SpfIdentity& who) {
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!is_spf_record(text) || !printable || text.size() > kMaxRecord) return std::nullopt;

  std::string safe{kVersion};
  text.remove_prefix(kVersion.size());
  while (true) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
    if (text.empty()) return safe;
    const std::string_view term = text.substr(0, text.find(' '));
    text.remove_prefix(term.size());
    const auto modifier = modifier_name(term);
    if ((modifier && *modifier != "redirect") || is_other_address(term, who.client)) continue;
    const auto seen = safe_term(term, domain, who);
    if (!seen) return std::nullopt;
    safe += ' ';
    safe += *seen;
  }
}

}  // namespace policyd
