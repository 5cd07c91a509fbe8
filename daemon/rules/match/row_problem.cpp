// SPDX-License-Identifier: AGPL-3.0-only
#include "daemon/rules/match/row_problem.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "daemon/base/ascii.hpp"
#include "daemon/base/printable.hpp"

namespace policyd {
namespace {

using Kind = RowProblem::Kind;

constexpr std::string_view kTracks =
    "Policy, SenderIP:/24, Sender:user@domain, Sender:@domain, Sender:user@, SASLUsername, or "
    "Recipient like Sender";
constexpr std::string_view kLimitVerdicts = "DEFER, REJECT, HOLD, DISCARD, FILTER or REDIRECT";

// What a column takes.
struct Accepted {
  std::string_view table;
  std::string_view column;
  std::string_view values;
};
constexpr std::array kAccepted = {
    Accepted{"quotas", "Track", kTracks},
    Accepted{"quotas", "Verdict", kLimitVerdicts},
    Accepted{"quotas_limits", "Type",
             "MessageCount, MessageCumulativeSize, Messages, RecipientsPerMessage, "
             "SizePerMessage or DistinctRecipients"},
    Accepted{"quotas_limits", "CounterLimit", "1 to 1000 with the Type DistinctRecipients"},
    Accepted{"accounting", "Track", kTracks},
    Accepted{"accounting", "Verdict", kLimitVerdicts},
    Accepted{"accounting", "AccountingPeriod", "0 (day), 1 (week) or 2 (month)"},
    Accepted{"access_control", "Verdict", "HOLD, REJECT, DISCARD, FILTER, REDIRECT, OK or PASS"},
    Accepted{"greylisting", "Track", "SenderIP:/24 or another prefix length"},
    Accepted{"checkhelo_whitelist", "Source", "SenderIP: and an address or network"},
    Accepted{"greylisting_whitelist", "Source", "SenderIP: and an address or network"},
};

}  // namespace

std::string describe_without_row(const RowProblem& problem) {
  const std::string value = in_quotes(problem.value);
  switch (problem.kind) {
    case Kind::not_a_number:
      return fmt::format("{} {} is not a number", problem.column, value);
    case Kind::not_positive:
      return fmt::format("{} must be greater than 0", problem.column);
    case Kind::below_one:
      return fmt::format("{} {} is less than 1: no mail is within the limit", problem.column,
                         problem.value);
    case Kind::invalid_value:
      return describe_invalid_value(problem.table, problem.column, problem.value);
    case Kind::unfit_data:
      return describe_unfit_data(problem.other, problem.value);
    case Kind::too_long:
      return fmt::format("{} is too long; only its first {} characters are used", problem.column,
                         problem.other);
    case Kind::missing:
      return describe_missing(problem.other, problem.column);
    case Kind::missing_for_some:
      return describe_missing(problem.other, problem.column) +
             ": mail is deferred unless another matching policy sets it";
    case Kind::line_break:
      return value + " contains a line break; the rest of it is ignored";
    case Kind::empty_item:
      return fmt::format("{} has an empty item: the list never matches", problem.column);
    case Kind::empty_list:
      return fmt::format("{} is empty: it never matches", problem.column);
    case Kind::invalid_network:
      return value + " is not a valid address or network: the list never matches";
    case Kind::long_prefix:
      return value + " has more bits than an address: it matches that address only";
    case Kind::mapped_network:
      return value + " matches no IPv4 address: in IPv6 form it needs a prefix length above 95";
    case Kind::unknown_item:
      return value + (problem.column == "Destination"
                          ? " is not a mail address or group"
                          : " is not an address, network, SASL name, group or host name");
    case Kind::no_address:
      return value + " matches nothing: no mail address looks like that";
    case Kind::never_together:
      return fmt::format(
          "{} never matches: all items of a list must match, and {} and {} cannot both",
          problem.column, value, in_quotes(problem.other));
    case Kind::unknown_group:
      return value + ": there is no such group";
    case Kind::empty_member:
      return "an empty member is ignored";
    case Kind::broken_group:
      return fmt::format(
          "group {} is invalid from its member {} on: that group contains itself or an invalid "
          "address",
          value, in_quotes("%" + problem.other));
  }
  return {};
}

std::string describe(const RowProblem& problem) {
  return fmt::format(
      "{} {}: {}{}", problem.table, problem.id, describe_without_row(problem),
      problem.all_mail ? "; while its module is on, " + describe_all_mail_of(problem) : "");
}

std::string describe_all_mail_of(const RowProblem& problem) {
  return "ALL MAIL IS " + (problem.kind == Kind::below_one ? problem.other : "DEFERRED");
}

std::string describe_invalid_value(std::string_view table, std::string_view column,
                                   std::string_view value) {
  const auto* accepted = std::find_if(
      kAccepted.begin(), kAccepted.end(),
      [&](const Accepted& each) { return each.table == table && each.column == column; });
  std::string out = fmt::format("{} is not a valid {}", in_quotes(value), column);
  if (accepted != kAccepted.end()) out += fmt::format("; use {}", accepted->values);
  return out;
}

std::string describe_unfit_data(std::string_view verdict, std::string_view data) {
  std::string word{verdict};
  lower_case(word);
  return fmt::format("{} is not a valid Data for {}; use {}", in_quotes(data), verdict,
                     word == "filter" ? "transport:destination, like smtp:[192.0.2.1]:25"
                                      : "a mail address, like postmaster@example.org");
}

std::string describe_missing(std::string_view switch_column, std::string_view column) {
  return fmt::format("{} is set, but {} is not", switch_column, column);
}

}  // namespace policyd
