// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/rules.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "daemon/base/ascii.hpp"
#include "daemon/base/mail_address.hpp"

namespace policyd {
namespace {

bool is_redirect_target(std::string_view data) {
  const bool quoted = data.starts_with('"');
  return is_mail_address(data) && !domain_of(data).empty() &&
         data.find_first_of(",<>") == std::string_view::npos && (quoted || !has_white_space(data));
}

bool is_transport_and_destination(std::string_view data) {
  const auto colon = data.find(':');
  return colon != std::string_view::npos && colon > 0 && !has_white_space(data);
}

constexpr std::array<std::string_view, 6> kLimitTypes = {"MessageCount",   "MessageCumulativeSize",
                                                         "Messages",       "RecipientsPerMessage",
                                                         "SizePerMessage", "DistinctRecipients"};

}  // namespace

std::string_view name_of(LimitType type) { return kLimitTypes.at(static_cast<std::size_t>(type)); }

std::optional<LimitType> parse_limit_type(std::string_view text) {
  const auto in_lower_case = [](std::string_view word) {
    std::string out{word};
    lower_case(out);
    return out;
  };
  const std::string wanted = in_lower_case(text);
  const auto* const found =
      std::find_if(kLimitTypes.begin(), kLimitTypes.end(),
                   [&](std::string_view known) { return in_lower_case(known) == wanted; });
  if (found == kLimitTypes.end()) return std::nullopt;
  return static_cast<LimitType>(found - kLimitTypes.begin());
}

bool fits(Action action, std::string_view data) {
  data = without_outer_blanks(data);
  if (action == Action::redirect) return is_redirect_target(data);
  return action != Action::filter || is_transport_and_destination(data);
}

bool RowVerdict::is_for_access_control() const {
  return kind == Kind::action && action != Action::dunno && action != Action::defer &&
         action != Action::prepend;
}

bool RowVerdict::is_for_limits() const {
  return kind == Kind::action && action != Action::ok && action != Action::pass &&
         action != Action::dunno && action != Action::prepend;
}

RowVerdict RowVerdict::parse(std::string_view text) {
  RowVerdict verdict;
  verdict.text = text;
  if (text.empty()) return verdict;
  const auto action = parse_action(text);
  verdict.kind = action ? Kind::action : Kind::invalid;
  verdict.action = action.value_or(Action::defer);
  return verdict;
}

}  // namespace policyd
