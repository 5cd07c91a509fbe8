// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/names/name_form.hpp"

#include <idn2.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "daemon/base/ascii.hpp"
#include "daemon/base/ascii_run.hpp"
#include "daemon/base/mail_address.hpp"
#include "daemon/names/wildcard.hpp"

namespace policyd {
namespace {

// Longer ones are no names of the DNS (255 bytes at most), and are not worth the time.
constexpr std::size_t kMaxDomain = 512;
constexpr std::string_view kAce = "xn--";

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Units = std::unique_ptr<std::uint8_t, Free>;

const std::uint8_t* units_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

bool is_utf8(std::string_view text) { return u8_check(units_of(text), text.size()) == nullptr; }

std::string in_lower_case(std::string_view text) {
  std::string out{text};
  lower_case(out);
  return out;
}

// Case-folded and composed. Decomposed first, as canonical caseless matching has it (Unicode,
// D145).
std::string folded(std::string_view text) {
  if (is_ascii(text) || !is_utf8(text)) return in_lower_case(text);
  std::size_t size = 0;
  const Units apart{u8_normalize(UNINORM_NFD, units_of(text), text.size(), nullptr, &size)};
  if (!apart) return in_lower_case(text);
  const Units out{u8_casefold(apart.get(), size, nullptr, UNINORM_NFC, nullptr, &size)};
  if (!out) return in_lower_case(text);
  return {reinterpret_cast<const char*>(out.get()), size};
}

// Punycode (RFC 3492) of a label that libidn2 rejects but Postfix's ICU accepts, such as an emoji.
std::string ace_of(std::string_view label) {
  constexpr std::uint32_t kBase = 36, kMin = 1, kMax = 26, kSkew = 38, kDamp = 700;
  std::u32string text;
  for (std::size_t at = 0; at < label.size();) {
    ucs4_t c = 0;
    at += static_cast<std::size_t>(u8_mbtouc(&c, units_of(label) + at, label.size() - at));
    text.push_back(c);
  }
  std::string out{kAce};
  for (const char32_t c : text) {
    if (c < 0x80) out += static_cast<char>(c);
  }
  std::uint32_t handled = static_cast<std::uint32_t>(out.size() - kAce.size());
  const std::uint32_t basic = handled;
  if (basic > 0) out += '-';
  std::uint32_t next = 0x80, delta = 0, bias = 72;
  const auto add_digit = [&out](std::uint32_t digit) {
    out += static_cast<char>(digit < 26 ? 'a' + digit : '0' + (digit - 26));
  };
  while (handled < text.size()) {
    char32_t least = 0x7FFFFFFF;
    for (const char32_t c : text) {
      if (c >= next) least = std::min(least, c);
    }
    delta += (least - next) * (handled + 1);
    next = least;
    for (const char32_t c : text) {
      if (c < next) ++delta;
      if (c != next) continue;
      std::uint32_t rest = delta;
      for (std::uint32_t k = kBase;; k += kBase) {
        const std::uint32_t threshold = k <= bias ? kMin : std::min(k - bias, kMax);
        if (rest < threshold) break;
        add_digit(threshold + (rest - threshold) % (kBase - threshold));
        rest = (rest - threshold) / (kBase - threshold);
      }
      add_digit(rest);
      delta = handled == basic ? delta / kDamp : delta / 2;
      delta += delta / (handled + 1);
      bias = 0;
      for (; delta > (kBase - kMin) * kMax / 2; bias += kBase) delta /= kBase - kMin;
      bias += (kBase - kMin + 1) * delta / (delta + kSkew);
      delta = 0;
      ++handled;
    }
    ++delta;
    ++next;
  }
  return out;
}

// Of one character at least: a wide '@' must not become one, nor a label of soft hyphens nothing.
bool is_label(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_';
  });
}

std::string label_form(std::string_view label) {
  if (is_ascii(label)) return in_lower_case(label);
  if (label.find('*') != std::string_view::npos) return folded(label);
  const std::string text{label};
  std::uint8_t* found = nullptr;
  const int code = ::idn2_lookup_u8(units_of(text), &found, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const Units ace{found};
  if (code == IDN2_OK && ace && is_label(reinterpret_cast<const char*>(ace.get()))) {
    return in_lower_case(reinterpret_cast<const char*>(ace.get()));
  }
  const std::string other = folded(label);
  return is_ascii(other) ? other : ace_of(other);
}

// The other full stops of UTS #46, all of three bytes, as '.'.
std::string with_plain_dots(std::string_view text) {
  constexpr std::size_t kSize = 3;
  std::string out;
  while (!text.empty()) {
    const std::string_view next = text.substr(0, kSize);
    const bool dot = next == "\u3002" || next == "\uFF0E" || next == "\uFF61";
    out += dot ? '.' : text.front();
    text.remove_prefix(dot ? kSize : 1);
  }
  return out;
}

std::string_view without_outer_white_space(std::string_view text) {
  const auto white_space_at = [&text](std::size_t at) {
    ucs4_t c = 0;
    const int size = u8_mbtoucr(&c, units_of(text) + at, text.size() - at);
    return size > 0 && uc_is_property_white_space(c) ? static_cast<std::size_t>(size) : 0;
  };
  while (const auto size = text.empty() ? 0 : white_space_at(0)) text.remove_prefix(size);
  while (!text.empty()) {
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
    if (white_space_at(at) != text.size() - at) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

}  // namespace

bool is_ascii(std::string_view text) {
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= text.size(); at += sizeof(std::uint64_t)) {
    if ((load<std::uint64_t>(text.data() + at) & kHighBits) != 0) return false;
  }
  return std::all_of(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

namespace {

std::string with_label_forms(std::string_view domain) {
  if (is_ascii(domain) || domain.size() > kMaxDomain || !is_utf8(domain)) return folded(domain);
  const std::string text = with_plain_dots(domain);
  std::string out;
  for (std::string_view rest = text;;) {
    const auto dot = rest.find('.');
    out += label_form(rest.substr(0, dot));
    if (dot == std::string_view::npos) return out;
    out += '.';
    rest.remove_prefix(dot + 1);
  }
}

// As Postfix does it: one dot, and not after another one.
std::string_view without_final_dot(std::string_view domain) {
  if (domain.size() < 2 || !domain.ends_with('.')) return domain;
  const char before = domain[domain.size() - 2];
  return before == '.' || is_white_space(before) ? domain : domain.substr(0, domain.size() - 1);
}

}  // namespace

std::string_view address_without_final_dot(std::string_view address) {
  if (!address.ends_with('.')) return address;
  const std::string_view domain = domain_of(address);
  return address.substr(0, address.size() - domain.size() + without_final_dot(domain).size());
}

std::string domain_form(std::string_view domain) {
  return std::string{without_final_dot(with_label_forms(domain))};
}

std::string address_form(std::string_view address) {
  if (is_ascii(address)) return in_lower_case(address_without_final_dot(address));
  const std::string_view local_part = local_part_of(address);
  std::string out = folded(local_part);
  if (local_part.size() < address.size()) out += '@' + domain_form(domain_of(address));
  return out;
}

std::string login_form(std::string_view login) {
  login = without_outer_blanks(login);
  return address_form(is_ascii(login) ? login : without_outer_white_space(login));
}

namespace {

// With its "xn--" labels as the letters they stand for.
std::string readable_domain(std::string_view domain) {
  std::string out;
  for (std::string_view rest = domain;;) {
    const auto dot = rest.find('.');
    const std::string label{rest.substr(0, dot)};
    char* found = nullptr;
    const bool ace =
        label.starts_with(kAce) && ::idn2_to_unicode_8z8z(label.c_str(), &found, 0) == IDN2_OK;
    const std::unique_ptr<char, Free> letters{found};
    out += ace ? std::string_view{letters.get()} : std::string_view{label};
    if (dot == std::string_view::npos) return out;
    out += '.';
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace

bool domain_match(std::string_view pattern, std::string_view domain) {
  if (wildcard_match(pattern, domain)) return true;
  return !is_ascii(pattern) && wildcard_match(readable_domain(pattern), readable_domain(domain));
}

}  // namespace policyd
