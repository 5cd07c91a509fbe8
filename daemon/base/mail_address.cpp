// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/mail_address.hpp"

#include <algorithm>

#include "daemon/base/ascii.hpp"

namespace policyd {
namespace {

// The position of the domain's `@`.
std::size_t at_sign(std::string_view address) {
  return address.size() < 2 ? std::string_view::npos : address.rfind('@', address.size() - 2);
}

// What the local part of a notice's address may contain beside letters and digits (RFC 5322). Not
// '*': a pattern was meant.
constexpr std::string_view kAtomOthers = "!#$%&'+-/=?^_`{|}~.";

}  // namespace

bool is_mail_address(std::string_view text) {
  if (text.empty() || text == "@") return false;
  const auto at = at_sign(text);
  return at == std::string_view::npos || (at > 0 && !has_white_space(text.substr(at)));
}

std::string_view domain_of(std::string_view address) {
  const auto at = at_sign(address);
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

std::string_view local_part_of(std::string_view address) {
  return address.substr(0, at_sign(address));
}

std::string_view without_outer_blanks(std::string_view text) {
  while (!text.empty() && is_white_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_white_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view problem_with_domain(std::string_view text) {
  constexpr std::size_t kMaxDomain = 255;
  constexpr std::size_t kMaxLabel = 63;
  if (text.empty()) return "it is empty";
  if (text.size() > kMaxDomain) return "it is longer than 255 characters";
  const std::string_view last = text.substr(text.rfind('.') + 1);
  if (std::all_of(last.begin(), last.end(), is_digit) && !last.empty()) {
    return "it ends in a number, as an IP address does";
  }
  for (std::size_t from = 0; from <= text.size();) {
    const std::string_view label = text.substr(from, text.find('.', from) - from);
    if (label.empty()) return "it has an empty label";
    if (label.size() > kMaxLabel) return "a label is longer than 63 characters";
    if (label.front() == '-' || label.back() == '-') return "a label begins or ends with '-'";
    const bool plain = std::all_of(label.begin(), label.end(), [](char c) {
      return is_letter(c) || is_digit(c) || c == '-' || c == '_';
    });
    if (!plain) {
      return "only letters, digits, '-' and '.' are allowed (write other letters as xn--...)";
    }
    from += label.size() + 1;
  }
  return {};
}

bool is_notice_address(std::string_view text) {
  constexpr std::size_t kMaxLocalPart = 64;
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > kMaxLocalPart || text.front() == '-') {
    return false;
  }
  const std::string_view local = text.substr(0, at);
  if (local.front() == '#') return false;  // in the configuration it begins a comment
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(local.begin(), local.end(),
                     [](char c) {
                       return is_letter(c) || is_digit(c) ||
                              kAtomOthers.find(c) != std::string_view::npos;
                     }) &&
         problem_with_domain(text.substr(at + 1)).empty();
}

}  // namespace policyd
