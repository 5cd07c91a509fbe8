// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/dns/spf_sanitiser.hpp"
#include "daemon/base/ascii.hpp"
#include "daemon/base/ip_address.hpp"
#include "daemon/base/mail_address.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

namespace policyd {

namespace {

constexpr std::string_view kVersion = "v=spf1";
constexpr std::size_t kLongestRecord = 4096;
constexpr std::size_t kLongestTerm = 255;
constexpr std::size_t kLongestName = 253;
constexpr int kMostLabels = 128;
// Stands for what no host name contains; it means nothing to libspf2.
constexpr char kNowhere = '!';

std::optional<int> number(std::string_view text, int most) {
  int value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value < 0 || value > most) {
    return std::nullopt;
  }
  return value;
}

bool is_in_names(char c) {
  return is_letter(c) || is_digit(c) ||
         std::string_view{"-_.+=@"}.find(c) != std::string_view::npos;
}

// The letters' values. An IPv6 address is 32 digits with dots between.
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
      return std::string{who.sender};
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
      return std::string{who.helo_name};
    default:
      return std::nullopt;
  }
}

// Split at the delimiters, perhaps reversed, the last `most` parts, joined with dots.
std::string transformed(std::string_view value, std::string_view delimiters, bool reversed,
                        std::size_t most) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = value.find_first_of(delimiters);
    parts.push_back(value.substr(0, end));
    if (end == std::string_view::npos) break;
    value.remove_prefix(end + 1);
  }
  if (reversed) std::reverse(parts.begin(), parts.end());
  std::string text;
  for (std::size_t i = parts.size() - std::min(most, parts.size()); i < parts.size(); ++i) {
    if (!text.empty()) text += '.';
    text += parts[i];
  }
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_in_names(c); }, kNowhere);
  return text;
}

// The inside of %{...}: a letter, how many labels, `r`, delimiters.
std::optional<std::string> expand_macro(std::string_view macro, std::string_view domain,
                                        const SpfIdentity& who) {
  constexpr std::string_view kDelimiters = ".-+,/_=";
  if (macro.empty()) return std::nullopt;
  // Capitals ask for URL escapes, which no name contains.
  std::string letter{macro.substr(0, 1)};
  lower_case(letter);
  const auto value = value_of(letter.front(), domain, who);
  if (!value) return std::nullopt;
  macro.remove_prefix(1);

  const auto* end = std::find_if_not(macro.begin(), macro.end(), is_digit);
  const auto digits = static_cast<std::size_t>(end - macro.begin());
  const int most =
      digits == 0 ? kMostLabels : number(macro.substr(0, digits), kMostLabels).value_or(0);
  if (most == 0) return std::nullopt;
  macro.remove_prefix(digits);
  const bool reversed = macro.starts_with('r') || macro.starts_with('R');
  if (reversed) macro.remove_prefix(1);
  if (macro.find_first_not_of(kDelimiters) != std::string_view::npos) return std::nullopt;
  return transformed(*value, macro.empty() ? "." : macro, reversed, static_cast<std::size_t>(most));
}

// A domain-spec with what may stand behind it ("/24").
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
  // RFC 7208, 7.3: a name that became too long loses labels in front.
  while (expanded.find('/') > kLongestName && expanded.size() > kLongestName) {
    const std::size_t dot = expanded.find('.');
    if (dot == std::string::npos) return std::nullopt;
    expanded.erase(0, dot + 1);
  }
  return expanded;
}

// Takes the qualifier off; then "ip4:" or "ip6:", where the term begins so in any case, else empty.
std::string address_kind(std::string_view& term) {
  if (!term.empty() && std::string_view{"+-~?"}.find(term.front()) != std::string_view::npos) {
    term.remove_prefix(1);
  }
  std::string kind{term.substr(0, 4)};
  lower_case(kind);
  return kind == "ip4:" || kind == "ip6:" ? kind : std::string{};
}

// RFC 7208, 5.6: networks are written out, there are no macros in them.
bool is_address_with_macro(std::string_view term) {
  return !address_kind(term).empty() && term.find('%') != std::string_view::npos;
}

// A term that libspf2 may see.
std::optional<std::string> safe_term(std::string_view term, std::string_view domain,
                                     const SpfIdentity& who) {
  if (term.size() > kLongestTerm || is_address_with_macro(term)) return std::nullopt;
  const std::size_t begin = term.find_first_of(":=");
  if (begin == std::string_view::npos) {
    return term.find('%') == std::string_view::npos ? std::optional{std::string{term}}
                                                    : std::nullopt;
  }
  const std::string_view kind = term.substr(0, begin + 1);
  if (kind.find('%') != std::string_view::npos) return std::nullopt;
  const auto rest = expand(term.substr(begin + 1), domain, who);
  if (!rest || kind.size() + rest->size() > kLongestTerm + 32) return std::nullopt;
  return std::string{kind} + *rest;
}

// "name=..." with nothing of a mechanism in front; the name.
std::optional<std::string> modifier_name(std::string_view term) {
  const std::size_t equals = term.find('=');
  if (equals == std::string_view::npos || equals == 0 || !is_letter(term.front())) {
    return std::nullopt;
  }
  std::string name{term.substr(0, equals)};
  const bool fine = std::all_of(name.begin(), name.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
  });
  if (!fine) return std::nullopt;
  lower_case(name);
  return name;
}

// A well-formed ip4 or ip6 term that does not hold the address. Others are libspf2's matter.
bool is_other_address(std::string_view term, const IpAddress& client) {
  const std::string kind = address_kind(term);
  if (kind.empty()) return false;
  std::string_view text = term.substr(4);
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  // Mapped addresses are IPv4 here, and rare enough.
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
  if (!is_spf_record(text) || !printable || text.size() > kLongestRecord) return std::nullopt;

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
