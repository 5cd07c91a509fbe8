// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/base/mail_address.hpp"

#include "daemon/base/ascii.hpp"
#include "daemon/base/ascii_run.hpp"

namespace policyd {
namespace {

// The position of the domain's `@`.
std::size_t at_sign(std::string_view address) {
  return address.size() < 2 ? std::string_view::npos : address.rfind('@', address.size() - 2);
}

}  // namespace

bool is_mail_address(std::string_view text) {
  const auto at = at_sign(text);
  if (at == std::string_view::npos || at == 0) return false;
  return run_from<'!'>(text).size() == text.size() || !has_white_space(text);
}

std::string_view domain_of(std::string_view address) {
  const auto at = at_sign(address);
  return at == std::string_view::npos ? std::string_view{} : address.substr(at + 1);
}

std::string_view local_part_of(std::string_view address) {
  return address.substr(0, at_sign(address));
}

}  // namespace policyd
