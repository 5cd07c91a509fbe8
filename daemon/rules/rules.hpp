// SPDX-License-Identifier: AGPL-3.0-only
// The rows that decide, as an immutable snapshot with its index: policies, groups, members and the
// modules' rows. Values only; rules_loader.hpp reads them. Invalid rows are kept, since what they
// answer is part of the rules (a quota with an unknown Track answers DEFER), and listed as
// problems.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/base/ip_address.hpp"
#include "daemon/base/result.hpp"
#include "daemon/protocol/verdict.hpp"
#include "daemon/rules/match/match_index.hpp"
#include "daemon/rules/match/row_problem.hpp"
#include "daemon/rules/track.hpp"

namespace policyd {

// The Verdict column: an action, nothing (NULL or empty), or an unknown word.
struct RowVerdict {
  enum class Kind : std::uint8_t { action, none, invalid };
  Kind kind = Kind::none;
  Action action = Action::dunno;
  std::string text;  // as written
  // False for REDIRECT and FILTER with Data that Postfix does not accept: it would only warn, and
  // let the mail pass. Such a verdict is answered DEFER.
  bool data_fits = true;

  // An action AccessControl may give: OK, PASS, REJECT, HOLD, DISCARD, FILTER or REDIRECT.
  [[nodiscard]] bool is_for_access_control() const;
  // An action Quotas and Accounting may give: DEFER, REJECT, HOLD, DISCARD, FILTER or REDIRECT.
  [[nodiscard]] bool is_for_limits() const;
  static RowVerdict parse(std::string_view text);
};

// Whether Postfix accepts `data` after this action: REDIRECT needs a mail address, FILTER
// transport:destination, others take any text (access(5)).
[[nodiscard]] bool fits(Action action, std::string_view data);

// The Type of a limit. The Perl daemon passes over rows with one of ours.
enum class LimitType : std::uint8_t {
  message_count,            // each recipient counts 1
  message_cumulative_size,  // KiB
  // Ours.
  messages,                // a message counts 1, however many recipients it has
  recipients_per_message,  // without a counter and a period, like the next
  size_per_message,        // KiB
  distinct_recipients,     // a recipient counts 1 while its last mail is within the period
};

// The largest limit of distinct_recipients.
inline constexpr int kMaxDistinctRecipients = 1'000;

std::string_view name_of(LimitType type);  // "MessageCount"
std::optional<LimitType> parse_limit_type(std::string_view text);
// Whether it is about each message alone: nothing is counted, and Period means nothing.
constexpr bool is_of_each_message(LimitType type) {
  return type == LimitType::recipients_per_message || type == LimitType::size_per_message;
}
constexpr bool is_size(LimitType type) {
  return type == LimitType::message_cumulative_size || type == LimitType::size_per_message;
}

// A row of quotas_limits. Rows of another Type are left out.
struct QuotaLimit {
  std::int64_t id = 0;
  LimitType type = LimitType::message_count;
  // Messages, recipients or KiB; 0 if the column is 0, NULL, negative or not a number.
  double counter_limit = 0;
};

struct Quota {
  std::int64_t id = 0;
  // Of the limit of `carbonio-limits list` that it belongs to: the ID of the policy's first quota
  // of this Track and Verdict.
  std::int64_t listed_as = 0;
  std::string name;
  RowTrack track;
  std::int64_t period_s = 0;  // as counter_limit; at most a century
  RowVerdict verdict;
  std::string data;  // empty for NULL
  bool last = false;
  std::vector<QuotaLimit> limits;  // by ID
};

struct AccessControlRow {
  std::int64_t id = 0;
  RowVerdict verdict;
  std::string data;  // empty for NULL
};

struct AccountingRow {
  enum class Period : std::uint8_t { day, week, month, invalid };
  std::int64_t id = 0;
  RowTrack track;
  Period period = Period::day;
  std::int64_t count_limit = 0;  // messages; 0: none
  std::int64_t size_limit = 0;   // KiB; 0: none
  RowVerdict verdict;
  std::string data;
  bool last = false;
};

// NULL keeps the value that rows of earlier policies set.
using OptionalInteger = std::optional<std::int64_t>;

struct CheckHeloRow {
  std::int64_t id = 0;
  OptionalInteger use_blacklist, blacklist_period_s;
  OptionalInteger use_hrp, hrp_period_s, hrp_limit;
  OptionalInteger reject_invalid, reject_ip, reject_unresolvable;
};

struct CheckSpfRow {
  std::int64_t id = 0;
  OptionalInteger use_spf, reject_failed, add_header;
};

struct GreylistingRow {
  std::int64_t id = 0;
  OptionalInteger use_greylisting, greylist_period_s;
  std::optional<Result<Track>> track;  // SenderIP only
  OptionalInteger auth_validity_s, unauth_validity_s;
  OptionalInteger use_auto_whitelist, auto_whitelist_period_s, auto_whitelist_count,
      auto_whitelist_percentage;
  OptionalInteger use_auto_blacklist, auto_blacklist_period_s, auto_blacklist_count,
      auto_blacklist_percentage;
};

// Each module's enabled rows by ID.
struct Policy {
  std::int64_t id = 0;
  std::int64_t priority = 0;
  std::string name;
  std::vector<AccessControlRow> access_control;
  std::vector<CheckHeloRow> check_helo;
  std::vector<CheckSpfRow> check_spf;
  std::vector<GreylistingRow> greylisting;
  std::vector<Quota> quotas;
  std::vector<AccountingRow> accounting;
};

// An enabled row of checkhelo_whitelist or greylisting_whitelist, `SenderIP:network`; without a
// network if it is invalid.
struct WhitelistRow {
  std::int64_t id = 0;
  bool sender_ip = false;  // begins with `SenderIP:`
  std::optional<IpNetwork> network;
};

struct Rules {
  std::int64_t version = 0;  // of limits_rules_version
  std::size_t row_count = 0;
  std::vector<Policy> policies;                                  // enabled ones by (Priority, ID)
  std::unordered_map<std::int64_t, std::uint32_t> policy_by_id;  // index in `policies`
  std::vector<WhitelistRow> check_helo_whitelist;
  std::vector<WhitelistRow> greylisting_whitelist;
  std::optional<MatchIndex> index;
  OwnDomains own_domains;
  std::vector<RowProblem> problems;
};

}  // namespace policyd
